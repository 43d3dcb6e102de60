"""Values of Hugging Face's tokenizers (0.23), for tests/nn/data/bpe_huggingface.inc:

    python3 tests/nn/data/huggingface.py > tests/nn/data/bpe_huggingface.inc
"""

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

LINES = [
    "The cat sat on the mat; the cats sat on the mats, didn't they?",
    "the theatre, the thesis and the other: therefore they're there",
    "aaaa aaa aa a aaaaa bbbb bb",
    "Übergrößen, naïve cafés; 日本語の日本, ещё раз ещё",
    "12 123 1234 12 123 12,5  double  spaces\tand tabs  ",
]
TEXTS = LINES + [
    "",
    " ",
    "'",
    "We'LL see what she'll do: 's 't ''re",
    "   three spaces\n\n two lines\r\n \n",
    "no\u00a0break\u3000wide\u0085next\u200bzero",
    "e\u0301 हिन्दी ไทย العربية",
    "👩‍👩‍👧 👍🏽 🇩🇪 \U000e0001 \u0378",
    "½ ² Ⅳ ௧ ǅ ﬁ İ _ __a a_1",
    "x<end>y<end> <end",
    "the\u0001cat\u007f",
]


def quoted(text):
    return '"' + "".join(
        c if 32 <= ord(c) < 127 and c not in '"\\?' else "".join(f"\\{b:03o}" for b in c.encode())
        for c in text
    ) + '"'


tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
tokenizer.train_from_iterator(
    LINES,
    trainers.BpeTrainer(
        vocab_size=300,
        min_frequency=2,
        special_tokens=["<end>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    ),
)
vocab = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
print("// Made by tests/nn/data/huggingface.py.")
print("// clang-format off")
print("const std::vector<std::string> kLines{\n  " + ",\n  ".join(map(quoted, LINES)) + "};")
print("const std::vector<std::string> kTokens{  // from id 257 on")
print("  " + ", ".join(quoted(token) for token, i in vocab if i >= 257) + "};")
print("const std::vector<std::pair<std::string, std::vector<std::int64_t>>> kEncoded{")
for text in TEXTS:
    print(f"  {{{quoted(text)}, {{{', '.join(map(str, tokenizer.encode(text).ids))}}}}},")
print("};")
