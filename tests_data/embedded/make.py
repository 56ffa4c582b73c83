"""Make the embedded table: tiny language models trained from scratch, their own samples, and the rewards of those samples.

    python tests_data/embedded/make.py             # everything, in place (see tests_data/README.md for how long)
    python tests_data/embedded/make.py --quick     # short training and fewer samples, into runs/embedded-quick

Order: prompts -> five language models (train, sample) -> checker -> reward model (Bradley-Terry) -> vectors -> tables.
Every number in the tables comes from a model run here. Weights stay in runs/, which git ignores.
"""
import argparse, json, os, platform, random, re, time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path

for v in ('OMP_NUM_THREADS', 'MKL_NUM_THREADS', 'OPENBLAS_NUM_THREADS'): os.environ[v] = '1'  # one thread a process, before torch
os.environ['TOKENIZERS_PARALLELISM'] = 'false'
import multiprocessing as mp
import numpy as np, pandas as pd, torch, transformers
import torch.nn.functional as F

import tasks
from erp_nbdev.embedding import embed_prompts, get_embedder
from erp_nbdev.tables import prompt_id, write_table

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SEED = 20250
MAX_NEW_TOKENS = 24
BETA = 2.  # scale of the learned reward

# Each model: its size, its training mixture (weights of categories and of single tasks) and the number of its training steps of 32 prompts.
# No specialist exists for instruction following: the coder practises more of the spelling in it, the chatty one more of the wording.
CODE, MATH, DO, CHAT = tasks.CATEGORIES
SPELL, ORDER = ['reverse', 'replace', 'shout', 'pick_letter'], ['repeat', 'sort_words', 'commas', 'exactly', 'starts_with']
MODELS = {
    'tiny-generalist': dict(hidden=40, layers=2, heads=2, lr=5e-3, steps=1800, mix={}),
    'chatty': dict(hidden=64, layers=2, heads=2, lr=4e-3, steps=1300, mix={CHAT: 5, DO: 3, MATH: 1, CODE: .5} | dict.fromkeys(ORDER, .5)),
    'coder': dict(hidden=96, layers=3, heads=4, lr=3e-3, steps=1000, mix={CODE: 6, DO: 1, MATH: .7, CHAT: .5} | dict.fromkeys(SPELL, .5)),
    'mathematician': dict(hidden=96, layers=3, heads=4, lr=3e-3, steps=1500, mix={MATH: 9, CODE: 1, DO: .4, CHAT: .4}),
    'big-generalist': dict(hidden=152, layers=3, heads=4, lr=2.5e-3, steps=1100, mix={}),
}


def settings(quick):
    "How much of everything: the full table, or a fast look at it."
    if quick: return dict(per_category=40, K=8, share=.1, reward_prompts=100, reward_K=4, reward_steps=60)
    return dict(per_category=200, K=32, share=1., reward_prompts=1600, reward_K=8, reward_steps=300)


# ----------------------------------------------------------------------------------------------------------------- tokenizer

SPECIAL = ['<pad>', '<stop>', '<answer>']


def make_tokenizer(seed=SEED, n=20_000, least=60):
    "Characters, and a token for each word frequent in the questions; the words that tasks spell out stay characters."
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    stream = tasks.draw(random.Random(seed))
    texts = [p.text for p, _ in zip(stream, range(n))]
    counts = Counter(w for t in texts for w in set(re.findall(r'[A-Za-z]{2,}', t)))
    words = sorted(w for w, c in counts.items() if c >= least and w not in tasks.WORDS)
    pattern = rf'(?: ?\b(?:{"|".join(words)})\b)|[\s\S]'
    vocab = SPECIAL + [chr(i) for i in range(32, 127)] + words + [' ' + w for w in words]
    tok = Tokenizer(models.WordLevel({w: i for i, w in enumerate(vocab)}, unk_token='<pad>'))
    tok.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), 'isolated')
    tok.decoder = decoders.Fuse()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tok, pad_token='<pad>', eos_token='<stop>', sep_token='<answer>', padding_side='left')


def encode(tok, texts):
    "Token ids of each text, nothing added."
    return tok(texts, add_special_tokens=False)['input_ids']


def pad(rows, side, value=0):
    "A LongTensor of rows padded on one side, and its mask."
    n = max(map(len, rows))
    fill = [[value] * (n - len(r)) for r in rows]
    ids = torch.tensor([f + r if side == 'left' else r + f for r, f in zip(rows, fill)])
    ones = torch.tensor([[0] * len(f) + [1] * len(r) if side == 'left' else [1] * len(r) + [0] * len(f) for r, f in zip(rows, fill)])
    return ids, ones


# ----------------------------------------------------------------------------------------------------------- language models

def make_model(tok, hidden, layers, heads, **_):
    "An untrained Llama of the given size."
    config = transformers.LlamaConfig(vocab_size=len(tok), hidden_size=hidden, intermediate_size=3 * hidden, num_hidden_layers=layers, num_attention_heads=heads,
        num_key_value_heads=heads, max_position_embeddings=160, tie_word_embeddings=True, rope_theta=1000., attention_dropout=0.,
        initializer_range=.08, pad_token_id=0, bos_token_id=None, eos_token_id=1)
    return transformers.LlamaForCausalLM(config)


def optimiser(model, lr, steps):
    "AdamW, warmed up over a twentieth of the steps, then lowered along a cosine."
    opt = torch.optim.AdamW(model.parameters(), lr=lr, betas=(.9, .98), weight_decay=.01)
    rate = lambda i: min(1, (i + 1) / max(1, steps // 20)) * (.02 + .98 * (1 + np.cos(np.pi * min(1, i / steps))) / 2)
    return opt, torch.optim.lr_scheduler.LambdaLR(opt, rate)


def training_batch(tok, stream, rng, exclude, size=32):
    "Question, `<answer>`, answer, `<stop>`; the loss counts the answer and the stop."
    ps = []
    while len(ps) < size:
        p = next(stream)
        if p.text not in exclude: ps.append(p)
    qs, answers = encode(tok, [p.text for p in ps]), encode(tok, [rng.choice(p.answers) for p in ps])
    ids, mask = pad([q + [2] + a + [1] for q, a in zip(qs, answers)], 'right')
    labels, _ = pad([[-100] * (len(q) + 1) + a + [1] for q, a in zip(qs, answers)], 'right', -100)
    return ids, mask, labels


def train(tok, name, steps, exclude):
    "Train one model on its mixture; it never sees an excluded prompt."
    spec, seed = MODELS[name], SEED + 1 + list(MODELS).index(name)
    torch.manual_seed(seed)
    rng = random.Random(seed)
    model, stream = make_model(tok, **spec), tasks.draw(rng, spec['mix'])
    opt, schedule = optimiser(model, spec['lr'], steps)
    for i in range(steps):
        ids, mask, labels = training_batch(tok, stream, rng, exclude)
        loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.)
        opt.step(); schedule.step(); opt.zero_grad()
        if i % 200 == 0: print(f'{name:16} step {i:5} loss {loss.item():.3f}', flush=True)
    return model.eval()


@torch.inference_mode()
def sample_batch(model, questions, K):
    "K samples at temperature 1 of each question (token ids): a LongTensor [questions × K, MAX_NEW_TOKENS]."
    ids, mask = pad(questions, 'left')
    first = model(input_ids=ids, attention_mask=mask, position_ids=(mask.cumsum(1) - 1).clamp(min=0), use_cache=True)
    cache, logits, mask = first.past_key_values, first.logits[:, -1].repeat_interleave(K, 0), mask.repeat_interleave(K, 0)
    cache.batch_repeat_interleave(K)
    out, alive = torch.zeros(len(mask), MAX_NEW_TOKENS, dtype=torch.long), torch.arange(len(mask))
    for t in range(MAX_NEW_TOKENS):
        new = torch.multinomial(logits.softmax(-1), 1)
        out[alive, t] = new[:, 0]
        go_on = (new[:, 0] != 1).nonzero()[:, 0]
        if t == MAX_NEW_TOKENS - 1 or not len(go_on): break
        alive, new, mask = alive[go_on], new[go_on], F.pad(mask[go_on], (0, 1), value=1)
        cache.batch_select_indices(go_on)
        logits = model(input_ids=new, attention_mask=mask, position_ids=mask.sum(1, keepdim=True) - 1, past_key_values=cache, use_cache=True).logits[:, -1]
    return out


def sample(tok, model, name, texts, K, seed, batch=16):
    "A frame of K responses to each text. Questions of like length share a batch."
    torch.manual_seed(seed)
    questions = [q + [2] for q in encode(tok, texts)]
    order, rows = sorted(range(len(texts)), key=lambda i: len(questions[i])), []
    for i in range(0, len(order), batch):
        part = order[i:i + batch]
        tokens = sample_batch(model, [questions[j] for j in part], K)
        stopped = (tokens == 1).any(1)
        length = torch.where(stopped, (tokens == 1).int().argmax(1) + 1, MAX_NEW_TOKENS)
        answers = tok.batch_decode([t[:n - s] for t, n, s in zip(tokens.tolist(), length.tolist(), stopped.tolist())])
        rows += [(texts[j], name, s, answers[a * K + s], 'stop' if stopped[a * K + s] else 'length', len(questions[j]), int(length[a * K + s]))
                 for a, j in enumerate(part) for s in range(K)]
    return pd.DataFrame(rows, columns=['prompt', 'model', 'sample', 'response', 'finish_reason', 'prompt_tokens', 'completion_tokens'])


def trained(tok, name, s, folder, exclude, keep=False):
    "A trained model and what its training was; read from its folder if it is to be kept and is there, else trained and put there."
    if keep and (folder / 'training.json').exists():
        return transformers.LlamaForCausalLM.from_pretrained(folder).eval(), json.loads((folder / 'training.json').read_text())
    start, steps = time.process_time(), int(MODELS[name]['steps'] * s['share'])
    model = train(tok, name, steps, exclude)
    facts = dict(parameters=model.num_parameters(), training_prompts=32 * steps, training_cpu_seconds=round(time.process_time() - start, 1))
    model.save_pretrained(folder); tok.save_pretrained(folder)
    (folder / 'training.json').write_text(json.dumps(facts))
    return model, facts


def one_model(job):
    "Train one model and sample it on the table's prompts and on the reward model's; runs in a process of its own."
    name, s, weights, prompts, reward_prompts, keep = job
    os.nice(5); torch.set_num_threads(1)
    tok = make_tokenizer()
    model, facts = trained(tok, name, s, weights / name, set(prompts), keep)
    start, seed = time.process_time(), SEED + 100 + list(MODELS).index(name)
    table = sample(tok, model, name, prompts, s['K'], seed)
    practice = sample(tok, model, name, reward_prompts, s['reward_K'], seed + 50)
    facts['sampling_cpu_seconds'] = round(time.process_time() - start, 1)
    print(name, facts, flush=True)
    return table, practice, facts


# ------------------------------------------------------------------------------------------------------- the two reward models

def checker_scores(frame, prompts):
    "The checker's grade of each row of a frame of responses."
    by_text = {p.text: p for p in prompts}
    grade = lru_cache(None)(lambda text, response: tasks.check(by_text[text], response))
    return np.array([grade(t, r) for t, r in zip(frame['prompt'], frame['response'])])


def preference_pairs(frame, rng, each=24, margin=.1):
    "Pairs of responses to one prompt, the checker's choice first: a frame prompt, better, worse. Near ties are left out."
    rows = []
    for text, g in frame.groupby('prompt', sort=True):
        items = list(zip(g['response'], g['score']))
        for _ in range(each):
            (a, x), (b, y) = rng.sample(items, 2)
            if abs(x - y) >= margin: rows.append((text, a, b) if x > y else (text, b, a))
    return pd.DataFrame(rows, columns=['prompt', 'better', 'worse']).drop_duplicates(ignore_index=True)


def reward_inputs(tok, texts, responses):
    "Question, `<answer>`, response, `<stop>`: what the reward model reads."
    return pad([q + [2] + r + [1] for q, r in zip(encode(tok, list(texts)), encode(tok, list(responses)))], 'right')


def reward(model, ids, mask):
    "BETA × the mean log-probability of the response's tokens: a language model's implicit reward. At most 0."
    logp = -F.cross_entropy(model(input_ids=ids, attention_mask=mask).logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction='none')
    in_response = (((ids == 2).cumsum(1)[:, :-1] > 0) * mask[:, 1:]).float()
    return BETA * (logp * in_response).sum(1) / in_response.sum(1)


def rewards_of(tok, model, texts, responses, batch=256):
    "One reward per (text, response), like lengths batched together."
    order, out = np.argsort([len(a) + len(b) for a, b in zip(texts, responses)], kind='stable'), np.empty(len(texts))
    with torch.inference_mode():
        for i in range(0, len(order), batch):
            part = order[i:i + batch]
            ids, mask = reward_inputs(tok, [texts[j] for j in part], [responses[j] for j in part])
            out[part] = reward(model, ids, mask).double().numpy()
    return out


def train_reward_model(tok, weights, pairs, steps, lr=3e-4, size=32):
    "A copy of the big generalist whose implicit reward r is fitted to -log sigmoid(r(better) - r(worse))."
    torch.manual_seed(SEED + 7); torch.set_num_threads(1)
    model = transformers.LlamaForCausalLM.from_pretrained(weights / 'big-generalist').train()
    opt, schedule = optimiser(model, lr, steps)
    rng = np.random.default_rng(SEED + 8)
    for i in range(steps):
        b = pairs.iloc[rng.choice(len(pairs), size, replace=False)]
        ids, mask = reward_inputs(tok, [*b['prompt'], *b['prompt']], [*b['better'], *b['worse']])
        better, worse = reward(model, ids, mask).chunk(2)
        loss = -F.logsigmoid(better - worse).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.)
        opt.step(); schedule.step(); opt.zero_grad()
        if i % 100 == 0: print(f'reward model     step {i:5} loss {loss.item():.3f}', flush=True)
    return model.eval()


def pair_accuracy(tok, model, pairs):
    "How often the reward model agrees with the checker on pairs it was not trained on."
    r = rewards_of(tok, model, [*pairs['prompt'], *pairs['prompt']], [*pairs['better'], *pairs['worse']])
    better, worse = np.split(r, 2)
    return float((better > worse).mean())


def bradley_terry(weights, practice, reward_prompts, table, s):
    "Train the reward model on practice responses (a fifth of their prompts held out) and score the table's responses."
    start, tok = time.process_time(), make_tokenizer()
    pairs = preference_pairs(practice.assign(score=checker_scores(practice, reward_prompts)), random.Random(SEED + 9))
    held = pairs['prompt'].isin({p.text for p in reward_prompts[::5]})
    before = pair_accuracy(tok, transformers.LlamaForCausalLM.from_pretrained(weights / 'big-generalist').eval(), pairs[held])
    model = train_reward_model(tok, weights, pairs[~held], s['reward_steps'])
    model.save_pretrained(weights / 'bradley-terry'); tok.save_pretrained(weights / 'bradley-terry')
    facts = dict(parameters=model.num_parameters(), training_pairs=int((~held).sum()), held_out_pairs=int(held.sum()),
        held_out_pair_accuracy=round(pair_accuracy(tok, model, pairs[held]), 4), accuracy_before_training=round(before, 4), training_cpu_seconds=round(time.process_time() - start, 1))
    each = table[['prompt', 'response']].drop_duplicates()
    r = rewards_of(tok, model, list(each['prompt']), list(each['response']))
    scores = table[['prompt', 'response']].merge(each.assign(reward=r.round(4)), how='left')['reward'].to_numpy()
    return scores, facts


# ------------------------------------------------------------------------------------------------------------------ the tables

def write_tables(out, prompts, table, rewards, facts):
    "The five files of the table."
    ids = {p.text: prompt_id(p.text) for p in prompts}
    asked = pd.DataFrame(dict(prompt_id=list(ids.values()), prompt=list(ids), category=[p.category for p in prompts]))
    write_table(asked, out / 'prompts.parquet', 'prompts')
    table = table.assign(prompt_id=table['prompt'].map(ids)).drop(columns='prompt')
    key = ['prompt_id', 'model', 'sample']
    write_table(table[key + ['response', 'finish_reason', 'prompt_tokens', 'completion_tokens']], out / 'responses.parquet', 'responses',
                temperature='1.0', max_new_tokens=str(MAX_NEW_TOKENS))
    long = pd.concat([table[key].assign(reward_model=name, reward=r) for name, r in rewards.items()], ignore_index=True)
    write_table(long, out / 'rewards.parquet', 'rewards')
    vectors = embed_prompts(asked, get_embedder('minilm'), progress=False)
    write_table(vectors, out / 'embeddings.parquet', 'embeddings', **vectors.attrs)
    pool = '\n'.join(f"  - {{model: {m}, params_b: {f['parameters'] / 1e9:.6f}, input_price: null, output_price: null}}" for m, f in facts.items())
    (out / 'pool.yaml').write_text(f'# Parameters in billions. No prices: nobody sells these models.\nmodels:\n{pool}\n')


def report(prompts, table, rewards, facts, reward_facts, s):
    "What was made, how long it took and how it came out, as a dict."
    cat = table['prompt'].map({p.text: p.category for p in prompts})
    mean = lambda r: pd.Series(r).groupby([table['model'].to_numpy(), cat.to_numpy()]).mean().unstack().loc[list(MODELS), list(tasks.CATEGORIES)].round(3)
    versions = dict(python=platform.python_version(), torch=torch.__version__, transformers=transformers.__version__, numpy=np.__version__, pandas=pd.__version__)
    return dict(seed=SEED, settings=dict(s, temperature=1.0, max_new_tokens=MAX_NEW_TOKENS), prompts=len(prompts), responses=len(table), models=facts, reward_model=reward_facts,
        mean_reward={n: mean(r).to_dict('index') for n, r in rewards.items()}, versions=versions)


def main(args):
    "Make everything."
    s = settings(args.quick)
    out = Path(args.out) if args.out else (ROOT / 'runs/embedded-quick' if args.quick else HERE)
    weights = ROOT / 'runs' / ('embedded-weights-quick' if args.quick else 'embedded-pool')
    out.mkdir(parents=True, exist_ok=True); weights.mkdir(parents=True, exist_ok=True)
    prompts = tasks.distinct(random.Random(SEED), s['per_category'])
    texts = [p.text for p in prompts]
    reward_prompts = tasks.distinct(random.Random(SEED + 20), s['reward_prompts'] // 4, exclude=texts)
    jobs = [(m, s, weights, texts, [p.text for p in reward_prompts], args.keep) for m in reversed(MODELS)]
    with ProcessPoolExecutor(2, mp_context=mp.get_context('spawn')) as pool: done = dict(zip(reversed(MODELS), pool.map(one_model, jobs)))
    os.nice(5)
    table, practice = (pd.concat([done[m][i] for m in MODELS], ignore_index=True) for i in (0, 1))
    place = pd.Series(range(len(texts)), texts)
    table = table.iloc[np.lexsort((table['sample'], table['model'].map(list(MODELS).index), table['prompt'].map(place)))].reset_index(drop=True)
    learned, reward_facts = bradley_terry(weights, practice, reward_prompts, table, s)
    rewards, facts = {'checker': checker_scores(table, prompts).round(4), 'bradley-terry': learned}, {m: done[m][2] for m in MODELS}
    write_tables(out, prompts, table, rewards, facts)
    r = report(prompts, table, rewards, facts, reward_facts, s)
    (out / 'report.json').write_text(json.dumps(r, indent=1) + '\n')
    print(pd.DataFrame(r['mean_reward']['checker']).T.to_string(), reward_facts, sep='\n')


if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--quick', action='store_true', help='short training, fewer samples')
    p.add_argument('--keep', action='store_true', help='keep the language models that an earlier run trained; sample them again')
    p.add_argument('--out', help='folder of the tables')
    main(p.parse_args())
