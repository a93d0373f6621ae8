"""Tiny random checkpoints in Hugging Face's layout, with logits, greedy continuations and token ids as the public implementations
give them: tests/golden/language_models/. Needs torch, transformers and tokenizers; run from the repository's root:

    python3 tests/golden/language_models.py
"""
import gzip
import json
import os
import random
import shutil

import numpy as np
import tokenizers
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM
from transformers import Qwen2Config, Qwen2ForCausalLM

ROOT = "tests/golden/language_models"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def spread(model):
    """Weights far enough from 0 that every part of the model matters; norms' weights differ from 1."""
    torch.manual_seed(1)
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(torch.randn(p.shape) * (0.25 if p.dim() == 2 else 0.1) + (1.0 if "norm" in name or ".ln_" in name else 0.0) * (p.dim() == 1) * ("weight" in name))
    return model.eval()


def write(name, model, **saving):
    folder = f"{ROOT}/{name}"
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder, **saving)
    for extra in ("generation_config.json", "README.md"):
        if os.path.exists(f"{folder}/{extra}"):
            os.remove(f"{folder}/{extra}")
    generator = torch.Generator().manual_seed(2)
    ids = torch.randint(0, model.config.vocab_size, (2, 20), generator=generator)
    with torch.no_grad():
        logits = model(ids).logits
        now = ids[:1, :5]
        for _ in range(24):
            now = torch.cat([now, model(now).logits[:, -1:].argmax(-1)], 1)
    np.savez_compressed(f"{folder}/expected.npz", ids=ids.numpy(), logits=logits.float().numpy(), greedy=now.numpy())


def llama(name, rope=None, saving=None, **more):
    sizes = dict(vocab_size=61, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                 max_position_embeddings=64, rms_norm_eps=1e-5, attention_dropout=0.0)
    if rope:  # one layer shows the angles
        sizes.update(num_hidden_layers=1)
    sizes.update(more)
    config = LlamaConfig(**sizes, **({"rope_scaling": rope} if rope else {}))
    write(name, spread(LlamaForCausalLM(config)), **(saving or {}))


def checkpoints():
    write("gpt2", spread(GPT2LMHeadModel(GPT2Config(vocab_size=61, n_positions=64, n_embd=32, n_layer=2, n_head=4, attn_pdrop=0, embd_pdrop=0,
                                                    resid_pdrop=0))))
    llama("llama", saving={"max_shard_size": "20KB"})
    llama("llama_tied", tie_word_embeddings=True, attention_bias=True, head_dim=12)
    llama("rope_linear", rope={"rope_type": "linear", "factor": 3.0})
    llama("rope_dynamic", rope={"rope_type": "dynamic", "factor": 3.0}, max_position_embeddings=12)
    llama("rope_yarn", rope={"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16})
    llama("rope_llama3", rope={"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                               "original_max_position_embeddings": 16})
    same = dict(vocab_size=61, hidden_size=32, intermediate_size=40, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=2,
                max_position_embeddings=64)
    write("mistral", spread(MistralForCausalLM(MistralConfig(**same, sliding_window=6, attn_implementation="eager"))))
    write("qwen2", spread(Qwen2ForCausalLM(Qwen2Config(**same))))


# ---- tokenizers

def lcg(state):
    """The same numbers in C++: a 64-bit linear congruence, its upper 31 bits."""
    state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
    return state, state >> 33


PIECES = [" ", "  ", "\n", "\r\n", "\t", "\u00a0", "\u2003", "the", "The", "THE", " of", "light", "'s", "'S", "'ll", "'Re", "don't", "1", "12", "1234567", "3.14", "\u0663",
          "\u00e9", "e\u0301", "na\u00efve", "\u4e2d\u6587", "\u65e5\u672c\u8a9e", "\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f1e9\U0001f1ea", "\ufe0f", "-", "--", "...", "?!", "\"", "(", ")", "_x_", "a_b", "<|end|>",
          "<|begin|>", "<|", "|>", "\u0391\u03b8\u03ae\u03bd\u03b1", "\u041c\u043e\u0441\u043a\u0432\u0430", "\u05e9\u05dc\u05d5\u05dd", "\u0e44\u0e17\u0e22", "\u0939\u093f\u0928\u094d\u0926\u0940", "\u200b", "\ufeff", "x" * 9, "ab" * 7, "\x00", "\x07", "$5", "50%", "\u20ac", "\u2026", "\u2019s", "colour", "prism", " rays"]


def strings(count):
    state = 12345
    for _ in range(count):
        state, n = lcg(state)
        text = ""
        for _ in range(1 + n % 12):
            state, k = lcg(state)
            text += PIECES[k % len(PIECES)]
        yield text


def fingerprint(ids, value=14695981039346656037):
    for i in list(ids) + [2**32 - 1]:
        for byte in range(4):
            value = ((value ^ (i >> 8 * byte & 255)) * 1099511628211) % 2**64
    return value


def tokenizer(name, pre, special, template=False, ignore_merges=False, merges_txt=False):
    folder = f"{ROOT}/{name}"
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    t = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    t.pre_tokenizer = pre
    t.decoder = decoders.ByteLevel()
    book = gzip.open("examples/data/opticks.txt.gz", "rt", encoding="utf-8").read()
    more = "".join(PIECES) * 20
    t.train_from_iterator([book[:200000], more], trainers.BpeTrainer(vocab_size=700, special_tokens=special, show_progress=False,
                                                                     initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    if template:
        t.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(
            single=f"{special[0]} $A", special_tokens=[(special[0], t.token_to_id(special[0]))])])
    t.save(f"{folder}/tokenizer.json")
    if merges_txt:
        t.model.save(folder)
    some = list(strings(40))
    prints, all_ids = [], [t.encode(s).ids for s in strings(10000)]
    for i in range(0, 10000, 100):
        value = 14695981039346656037
        for ids in all_ids[i:i + 100]:
            value = fingerprint(ids, value)
        prints.append(f"{value:016x}")
    with open(f"{folder}/expected.json", "w", encoding="utf-8") as f:
        json.dump({"texts": some, "ids": all_ids[:40], "fingerprints": prints, "pieces": PIECES}, f, ensure_ascii=True)


if __name__ == "__main__":
    print("torch", torch.__version__, "tokenizers", tokenizers.__version__)
    os.makedirs(ROOT, exist_ok=True)
    checkpoints()
    tokenizer("bpe_gpt2", pre_tokenizers.ByteLevel(add_prefix_space=False), ["<|end|>"], merges_txt=True)
    tokenizer("bpe_llama3", pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA3), "isolated"),
                                                     pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]),
              ["<|begin|>", "<|end|>"], template=True, ignore_merges=True)
