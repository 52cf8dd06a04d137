// All routes of a server. To add one: its file, and a line here.
import type { Route } from "../http/route.ts";
import { applyTemplate } from "./apply_template.ts";
import { chatCompletions } from "./chat_completions.ts";
import { completions } from "./completions.ts";
import { detokenize } from "./detokenize.ts";
import { embeddings } from "./embeddings.ts";
import { health } from "./health.ts";
import { metrics } from "./metrics.ts";
import { model } from "./model.ts";
import { models } from "./models.ts";
import { props } from "./props.ts";
import { responses } from "./responses.ts";
import { root } from "./root.ts";
import { slots } from "./slots.ts";
import { tokenize } from "./tokenize.ts";

/** Routes in the order of the documentation. */
export const allRoutes: readonly Route[] = [
  chatCompletions,
  completions,
  responses,
  embeddings,
  models,
  model,
  root,
  health,
  metrics,
  slots,
  props,
  tokenize,
  detokenize,
  applyTemplate,
];
