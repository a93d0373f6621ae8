// Language models as others trained them: tokenizers, checkpoints in Hugging Face's layout, GPT-2 and Llama. Beside
// inkstone/ink.h.
#pragma once
#include "nn/decoding/pretrained/gpt2.h"
#include "nn/decoding/pretrained/json_file.h"
#include "nn/decoding/pretrained/llama.h"
#include "nn/decoding/pretrained/pretrained.h"
#include "nn/decoding/tokenizer/merges.h"
#include "nn/decoding/tokenizer/pieces.h"
#include "nn/decoding/tokenizer/tokenizer.h"
