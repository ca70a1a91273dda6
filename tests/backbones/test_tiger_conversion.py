import torch

from beamwise.backbones import Tiger, TigerConfig
from beamwise.backbones.tiger_conversion import config_of

SIZES = TigerConfig(
    dim=8,
    num_encoder_layers=1,
    num_decoder_layers=2,
    num_heads=2,
    head_dim=3,
    feedforward_dim=12,
    dropout=0.25,
    num_buckets=10,
    max_distance=40,
    layer_norm_eps=1e-5,
    scale_output=False,
)


def test_sizes_survive_the_way_there_and_back():
    assert config_of(Tiger(SIZES, 20).to_huggingface()) == SIZES


def test_every_weight_survives_the_way_there_and_back():
    tiger = Tiger(SIZES, 20)
    for parameter in tiger.parameters():
        parameter.data.normal_()
    back = Tiger.from_huggingface(tiger.to_huggingface())
    for name, value in tiger.state_dict().items():
        assert torch.equal(back.state_dict()[name], value), name
