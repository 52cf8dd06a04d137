// The models that the page offers: where they come from, how large they are, and what to ask them.

/** Sizes are those of the files, in bytes. */
export const MODELS = [
  {
    id: "tales-chat",
    name: "tales-chat",
    about: "Tells a short story about whom you name.",
    source: "cria:tales-chat",
    bytes: 3_527_200,
    isEmbedded: true,
    chat: {
      maxTokens: 220,
      title: "Who should the story be about?",
      placeholder: "Tell me a story about …",
      note: "A toy of 3 million parameters: it knows no facts, and soon loses the thread.",
      suggestions: [
        "Tell me a story about a dog named Rex who finds a ball.",
        "Please tell me a bedtime story about a little bear.",
        "Tell me a funny story about a robot and a cake.",
        "Hello! Who are you?",
      ],
    },
  },
  {
    id: "tales",
    name: "tales",
    about: "Goes on with a story that you begin.",
    source: "cria:tales",
    bytes: 2_545_152,
    isEmbedded: true,
    isTeller: true,
    story: { note: "A toy of 3 million parameters. It does not talk: it continues your text." },
  },
  {
    id: "gemma-3-270m",
    name: "Gemma 3 270M",
    about: "By Google. Short answers; many languages, a little of each.",
    source: "hf:ggml-org/gemma-3-270m-it-GGUF/gemma-3-270m-it-Q8_0.gguf",
    bytes: 291_545_600,
  },
  {
    id: "smollm2-360m",
    name: "SmolLM2 360M",
    about: "By Hugging Face. English; rewrites and sums up short texts.",
    source: "hf:HuggingFaceTB/SmolLM2-360M-Instruct-GGUF/smollm2-360m-instruct-q8_0.gguf",
    bytes: 386_404_992,
  },
  {
    id: "qwen3-0.6b",
    name: "Qwen3 0.6B",
    about: "By Qwen. Thinks before it answers, so answers take longer.",
    source: "hf:Qwen/Qwen3-0.6B-GGUF/Qwen3-0.6B-Q8_0.gguf",
    bytes: 639_446_688,
  },
  {
    id: "llama-3.2-1b",
    name: "Llama 3.2 1B",
    about: "By Meta. The best talker of this list, and the slowest.",
    source: "hf:bartowski/Llama-3.2-1B-Instruct-GGUF/Llama-3.2-1B-Instruct-Q4_K_M.gguf",
    bytes: 807_694_464,
  },
];

/** What models are asked that have no suggestions of their own. */
const CHAT = {
  maxTokens: 1024,
  title: "What would you like to talk about?",
  placeholder: "Write a message",
  note: "Small models make things up. Check what matters.",
  suggestions: [
    "Explain to a child why the sky is blue.",
    "Write a short poem about the sea in winter.",
    "Suggest three names for a small grey cat.",
    "Say “good morning” in French, German and Spanish.",
  ],
};

const STORY = {
  maxTokens: 200,
  title: "How does the story begin?",
  placeholder: "Once upon a time",
  note: "The model continues your text, word for word from where it ends.",
  suggestions: [
    "Once upon a time, there was a little dragon who",
    "The old king could not sleep, so he",
    "One day, Lily found a tiny key in",
    "A cat and a mouse wanted to build a boat.",
  ],
};

/** Title, placeholder, suggestions, note and most tokens of a model in the mode "chat" or "story". */
export function invitation(model, mode) {
  return mode === "chat" ? { ...CHAT, ...model.chat } : { ...STORY, ...model.story };
}

/** "292 MB", "3.5 MB", "12 KB". */
export function size(bytes) {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(2)} GB`;
  if (bytes >= 1e7) return `${Math.round(bytes / 1e6)} MB`;
  if (bytes >= 1e6) return `${(bytes / 1e6).toFixed(1)} MB`;
  return `${Math.ceil(bytes / 1e3)} KB`;
}

/** The model of a file that the user has chosen, or of several that belong together. */
export function modelOfFiles(files) {
  const [first] = files;
  const several = files.length > 1;
  return {
    id: "file",
    name: several ? `${files.length} files` : first.name,
    about: "From this device.",
    source: several ? Object.fromEntries(Array.from(files, (file) => [file.name, file])) : first,
    bytes: Array.from(files).reduce((sum, file) => sum + file.size, 0),
  };
}

/** The model at an address. */
export function modelOfAddress(address, cache) {
  return {
    id: "address",
    name: address.split(/[\\/](?!$)/).at(-1),
    about: address,
    source: address,
    ...(cache && { cache: true }),
  };
}
