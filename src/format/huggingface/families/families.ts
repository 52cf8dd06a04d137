// All families of models that are read from folders of safetensors.
import { expertFamilies } from "./experts.ts";
import type { Family } from "./family.ts";
import { layerNormFamilies } from "./gpt.ts";
import { llamaFamilies } from "./llama.ts";

export const families: readonly Family[] = [...llamaFamilies, ...expertFamilies, ...layerNormFamilies];

/**
 * Keys that change no logit, whatever they say: they describe the file, belong to training or to generation.
 * Source: huggingface/transformers, configuration_utils.py, and the configurations of the families.
 */
export const harmlessKeys: ReadonlySet<string> = new Set(
  (
    "architectures model_type torch_dtype dtype transformers_version use_cache initializer_range pretraining_tp " +
    "bos_token_id eos_token_id pad_token_id unk_token_id sep_token_id decoder_start_token_id tokenizer_class prefix " +
    "attention_dropout hidden_dropout dropout classifier_dropout gradient_checkpointing use_bfloat16 torchscript " +
    "return_dict output_hidden_states output_attentions output_scores return_dict_in_generate " +
    "max_length min_length do_sample early_stopping num_beams num_beam_groups diversity_penalty temperature top_k top_p " +
    "typical_p repetition_penalty length_penalty no_repeat_ngram_size encoder_no_repeat_ngram_size bad_words_ids " +
    "num_return_sequences remove_invalid_values exponential_decay_length_penalty suppress_tokens begin_suppress_tokens " +
    "forced_bos_token_id forced_eos_token_id finetuning_task problem_type id2label label2id task_specific_params " +
    "tf_legacy_loss pruned_heads chunk_size_feed_forward max_sequence_length model_max_length unsloth_version unsloth_fixed"
  ).split(" "),
);
