// The chat template of a model: the caller's, or one of those that the file has.
import { ModelTemplate } from "../chat/template/model_template.ts";
import { chosenTemplates } from "../chat/template/sources.ts";
import { chatTemplatesOf } from "../format/chat_templates.ts";
import type { ModelFile } from "../format/model_file.ts";
import type { Tokenizer } from "../tokenizer/core/tokenizer.ts";

/**
 * The template of a model.
 * @param asked the option `chatTemplate`
 * @throws UsageError for a name that the model does not have; FormatError if a text that was given is no template
 */
export function modelTemplate(
  file: ModelFile,
  asked: string | undefined,
  tokenizer: Tokenizer,
): ModelTemplate {
  const { byName, bosToken, eosToken } = chatTemplatesOf(file);
  const { bosId, eosIds } = tokenizer;
  const pieceOf = (id: number | undefined) => (id === undefined ? undefined : tokenizer.piece(id));
  const template = new ModelTemplate(chosenTemplates(file.source.name, byName, asked), tokenizer, {
    bosToken: bosToken ?? pieceOf(bosId),
    eosToken: eosToken ?? pieceOf(eosIds[0]),
  });
  if (asked !== undefined) template.check();
  return template;
}
