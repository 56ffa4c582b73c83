"""A small reward model in the layout of InternLM2: one matrix for queries, keys and values, rotary positions, SwiGLU, and a head
that reads the reward at the last token. It is code that comes with a checkpoint, as that of the large one does."""
import torch
from torch import nn
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.cache_utils import DynamicCache
from transformers.modeling_outputs import BaseModelOutputWithPast, SequenceClassifierOutputWithPast

from .configuration_internlm2 import InternLM2Config


class InternLM2RMSNorm(nn.Module):
    "Scale to unit mean square, then by a learned weight"
    def __init__(self, size, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(size)), eps

    def forward(self, x): return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)


class InternLM2RotaryEmbedding(nn.Module):
    "Angles of the positions. Their frequencies are a table that no checkpoint holds"
    def __init__(self, dim, base):
        super().__init__()
        self.dim, self.base = dim, base
        self.register_buffer('inv_freq', self.formula(), persistent=False)

    def formula(self): return 1. / self.base ** (torch.arange(0, self.dim, 2, dtype=torch.float32) / self.dim)

    def forward(self, x, positions):
        angles = (positions[:, None, :, None].float() * self.inv_freq).repeat(1, 1, 1, 2)
        a, b = x.chunk(2, -1)
        return x * angles.cos() + torch.cat([-b, a], -1) * angles.sin()


class InternLM2Attention(nn.Module):
    "Grouped-query attention with a fused projection"
    def __init__(self, config, layer):
        super().__init__()
        self.layer, self.heads, self.kv = layer, config.num_attention_heads, config.num_key_value_heads
        self.dim = config.hidden_size // self.heads
        self.wqkv = nn.Linear(config.hidden_size, (self.heads + 2 * self.kv) * self.dim, bias=False)
        self.wo = nn.Linear(self.heads * self.dim, config.hidden_size, bias=False)
        self.rotary_emb = InternLM2RotaryEmbedding(self.dim, config.rope_theta)

    def forward(self, x, mask, positions, cache):
        n, t, _ = x.shape
        groups = self.wqkv(x).view(n, t, self.kv, self.heads // self.kv + 2, self.dim).transpose(1, 2)  # [n, kv, t, …, dim]
        q = groups[:, :, :, :-2].permute(0, 1, 3, 2, 4).reshape(n, self.heads, t, self.dim)
        k, v = self.rotary_emb(groups[:, :, :, -2], positions), groups[:, :, :, -1]
        if cache is not None: k, v = cache.update(k, v, self.layer)
        k, v = (z.repeat_interleave(self.heads // self.kv, 1) for z in (k, v))
        out = F.scaled_dot_product_attention(self.rotary_emb(q, positions), k, v, attn_mask=mask)
        return self.wo(out.transpose(1, 2).reshape(n, t, -1))


class InternLM2MLP(nn.Module):
    "SwiGLU"
    def __init__(self, config):
        super().__init__()
        self.w1 = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.w3 = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.w2 = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x): return self.w2(F.silu(self.w1(x)) * self.w3(x))


class InternLM2DecoderLayer(nn.Module):
    "Attention, then the MLP, each after a norm and beside a shortcut"
    def __init__(self, config, layer):
        super().__init__()
        self.attention, self.feed_forward = InternLM2Attention(config, layer), InternLM2MLP(config)
        self.attention_norm = InternLM2RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.ffn_norm = InternLM2RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, x, mask, positions, cache):
        x = x + self.attention(self.attention_norm(x), mask, positions, cache)
        return x + self.feed_forward(self.ffn_norm(x))


class InternLM2PreTrainedModel(PreTrainedModel):
    "How weights begin, and the tables that are made rather than loaded"
    config_class = InternLM2Config
    base_model_prefix = 'model'
    _supports_sdpa = True

    def _init_weights(self, module):
        if isinstance(module, (nn.Linear, nn.Embedding)): init.normal_(module.weight, std=self.config.initializer_range)
        if isinstance(module, nn.Linear) and module.bias is not None: init.zeros_(module.bias)
        if isinstance(module, InternLM2RMSNorm): init.ones_(module.weight)
        if isinstance(module, InternLM2RotaryEmbedding): init.copy_(module.inv_freq, module.formula())


class InternLM2Model(InternLM2PreTrainedModel):
    "Token ids to hidden states"
    def __init__(self, config):
        super().__init__(config)
        self.tok_embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(InternLM2DecoderLayer(config, i) for i in range(config.num_hidden_layers))
        self.norm = InternLM2RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_init()

    def get_input_embeddings(self): return self.tok_embeddings
    def set_input_embeddings(self, value): self.tok_embeddings = value

    def forward(self, input_ids, attention_mask=None, position_ids=None, past_key_values=None, use_cache=False, **_):
        if use_cache and past_key_values is None: past_key_values = DynamicCache()
        seen, t = past_key_values.get_seq_length() if past_key_values is not None else 0, input_ids.shape[1]
        if attention_mask is None: attention_mask = input_ids.new_ones(len(input_ids), seen + t)
        if position_ids is None: position_ids = (attention_mask.cumsum(1) - 1).clamp(min=0)[:, seen:]
        here = torch.arange(seen, seen + t, device=input_ids.device)
        see = torch.arange(seen + t, device=input_ids.device)[None, :] <= here[:, None]
        mask = see[None, None] & (attention_mask[:, None, None, :] > 0)
        mask = mask | (torch.arange(seen + t, device=input_ids.device) == here[:, None])  # a padding token sees itself, lest its row be empty
        x = self.tok_embeddings(input_ids)
        for layer in self.layers: x = layer(x, mask, position_ids, past_key_values)
        return BaseModelOutputWithPast(last_hidden_state=self.norm(x), past_key_values=past_key_values)


class InternLM2ForRewardModel(InternLM2PreTrainedModel):
    "The reward: a number read from the last token, which is the reward token"
    def __init__(self, config):
        super().__init__(config)
        self.model, self.v_head = InternLM2Model(config), nn.Linear(config.hidden_size, 1, bias=False)
        self.reward_token_id = config.reward_token_id
        self.post_init()

    def get_input_embeddings(self): return self.model.tok_embeddings
    def set_input_embeddings(self, value): self.model.tok_embeddings = value

    def forward(self, input_ids, attention_mask=None, **kw):
        out = self.model(input_ids, attention_mask, **kw)
        here = torch.ones_like(input_ids) if attention_mask is None else attention_mask[:, -input_ids.shape[1]:]
        last = here.cumsum(1).argmax(1)
        reward = self.v_head(out.last_hidden_state)[torch.arange(len(last)), last]
        return SequenceClassifierOutputWithPast(logits=reward, past_key_values=out.past_key_values)
