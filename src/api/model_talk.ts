// What of a model concerns chats: its name, its templates, and chats by them.
import { Chat, type ChatSetup } from "../chat/chat.ts";
import { chatDefaults } from "../chat/defaults.ts";
import type { Message } from "../chat/messages.ts";
import type { ChatOptions } from "../chat/options.ts";
import { ModelTemplate } from "../chat/template/model_template.ts";
import { chosenTemplates } from "../chat/template/sources.ts";
import { chatTemplatesOf } from "../format/chat_templates.ts";
import type { ModelFile } from "../format/model_file.ts";
import type { Session } from "../session/session.ts";
import type { Tokenizer } from "../tokenizer/core/tokenizer.ts";

/** A model's name and templates. */
export interface ModelTalk {
  /** The name that its file gives it. */
  readonly name: string | undefined;
  /** The template that counts. */
  readonly template: ModelTemplate;
  /**
   * Another one.
   * @param asked a template's text, or the name of one that the model has
   * @throws UsageError for a name that the model does not have; FormatError if a text that was given is no template
   */
  templateOf(asked: string): ModelTemplate;
}

/**
 * What of a model concerns chats. Nothing of the file's header is kept but its templates.
 * @param asked the option `chatTemplate`
 * @throws UsageError for a name that the model does not have; FormatError if a text that was given is no template
 */
export function modelTalk(file: ModelFile, asked: string | undefined, tokenizer: Tokenizer): ModelTalk {
  const { byName, bosToken, eosToken } = chatTemplatesOf(file);
  const source = file.source.name;
  const { bosId, eosIds } = tokenizer;
  const pieceOf = (id: number | undefined) => (id === undefined ? undefined : tokenizer.piece(id));
  const tokens = { bosToken: bosToken ?? pieceOf(bosId), eosToken: eosToken ?? pieceOf(eosIds[0]) };
  const templateOf = (asked: string | undefined) => {
    const template = new ModelTemplate(chosenTemplates(source, byName, asked), tokenizer, tokens);
    if (asked !== undefined) template.check();
    return template;
  };
  const name = file.metadata.get("general.name")?.value;
  return {
    name: typeof name === "string" && name !== "" ? name : undefined,
    template: templateOf(asked),
    templateOf,
  };
}

/**
 * A chat with a model.
 * @param options checked
 * @param session makes its session, once the options are found right
 * @throws what templates throw
 */
export function newChat(
  talk: ModelTalk,
  contextLength: number,
  options: ChatOptions,
  session: () => Session,
): Chat {
  const { system, messages = [], template, now = new Date(), tools, variables, onTrim } = options;
  const renderer = template === undefined ? talk.template : talk.templateOf(template);
  renderer.check();
  const setup: ChatSetup = {
    ...{ contextLength, renderer, template, now, tools, variables, onTrim },
    defaults: chatDefaults(talk.name),
  };
  const head: Message[] = system === undefined ? [] : [{ role: "system", content: system }];
  return new Chat(setup, session(), [...head, ...structuredClone(messages)]);
}
