// What models that are tested behind a server are loaded with.
/** What models under test are loaded with: a chat template among it. */
export const contractLoad = {
  threads: 1,
  contextLength: 256,
  chatTemplate:
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'nobody' %}{{ raise_exception('nobody talks') }}{% endif %}" +
    "{{ m.role }}: {{ m.content }}\n{% endfor %}{% if tools %}{{ tools[0].function.name }}\n{% endif %}" +
    "{% if add_generation_prompt %}{{ mood }}assistant:{% endif %}",
} as const;
