"The configuration of a small reward model in the layout of InternLM2."
from transformers import PreTrainedConfig


class InternLM2Config(PreTrainedConfig):
    "Sizes, and the id of the token at which the reward is read"
    model_type = 'internlm2'

    def __init__(self, vocab_size=1000, hidden_size=128, intermediate_size=384, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
                 max_position_embeddings=192, rms_norm_eps=1e-6, initializer_range=.05, rope_theta=1000., reward_token_id=8, **kw):
        self.vocab_size, self.hidden_size, self.intermediate_size = vocab_size, hidden_size, intermediate_size
        self.num_hidden_layers, self.num_attention_heads, self.num_key_value_heads = num_hidden_layers, num_attention_heads, num_key_value_heads
        self.max_position_embeddings, self.rms_norm_eps, self.initializer_range = max_position_embeddings, rms_norm_eps, initializer_range
        self.rope_theta, self.reward_token_id = rope_theta, reward_token_id
        super().__init__(**kw)
