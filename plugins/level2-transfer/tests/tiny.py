"""Tiny pretrained models of real classes, with weights by chance, as transformers writes them."""

from __future__ import annotations

import json
from pathlib import Path

WORDS = [
    "good", "bad", "fine", "poor", "great", "awful", "film", "plot", "actor", "scene", "music", "story",
    "the", "a", "is", "was", "very", "not", "so", "and", "of", "to",
]  # fmt: skip


def bert(folder: Path, seed: int = 0) -> Path:
    """A text encoder of two layers with a tokeniser of few words."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    torch.manual_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    config = BertConfig(vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
                        intermediate_size=48, max_position_embeddings=256)  # fmt: skip
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


def distilbert(folder: Path) -> Path:
    """Another form of text encoder, which cannot be cut."""
    import torch
    from transformers import DistilBertConfig, DistilBertModel

    bert(folder)
    torch.manual_seed(0)
    size = len(WORDS) + 5
    DistilBertModel(DistilBertConfig(vocab_size=size, dim=32, n_layers=2, n_heads=2, hidden_dim=48)).save_pretrained(
        folder
    )
    return folder


def vit(folder: Path) -> Path:
    """An image transformer of two layers."""
    import torch
    from transformers import ViTConfig, ViTModel

    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48, image_size=16, patch_size=4
    )
    ViTModel(config, add_pooling_layer=False).save_pretrained(folder)
    return _pictures(folder)


def convnext(folder: Path, depths: tuple[int, ...] = (1, 1)) -> Path:
    """A convolutional network of stages of so many blocks."""
    import torch
    from transformers import ConvNextConfig, ConvNextModel

    torch.manual_seed(0)
    sizes = [16] * (len(depths) - 1) + [32]
    config = ConvNextConfig(num_stages=len(depths), hidden_sizes=sizes, depths=[*depths], image_size=16, patch_size=2)
    ConvNextModel(config).save_pretrained(folder)
    return _pictures(folder)


def wav2vec2(folder: Path) -> Path:
    """An audio encoder of two layers."""
    import torch
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    torch.manual_seed(0)
    config = Wav2Vec2Config(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48,
                            conv_dim=(16, 16), conv_stride=(20, 16), conv_kernel=(40, 32), num_feat_extract_layers=2,
                            num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2)  # fmt: skip
    Wav2Vec2Model(config).save_pretrained(folder)
    about = {"sampling_rate": 16000, "feature_extractor_type": "Wav2Vec2FeatureExtractor", "do_normalize": True}
    (folder / "preprocessor_config.json").write_text(json.dumps(about))
    return folder


def _pictures(folder: Path) -> Path:
    about = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "size": {"height": 16, "width": 16}}
    (folder / "preprocessor_config.json").write_text(json.dumps(about))
    return folder
