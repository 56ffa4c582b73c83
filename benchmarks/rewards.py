"""`score` against the loop of the model cards: the three embedded reward models on responses that a small model really gave.

    python benchmarks/rewards.py [--prompts 100] [--samples 32] [--tokens 24] [--threads 1]

The loop takes one pair after the other, with the lines of the model's card: tokenise, one forward pass, one number. `score` does the same work in
batches, reads a prompt once for all of its responses where the model is causal, and scores equal pairs once. The last is luck with models that repeat
themselves, so it is measured apart: `different pairs only` gives both sides each pair once, `all samples` gives them the table as it is.

Both are timed in this run, in turns, and the rewards are compared. Texts here are short and models tiny, which is where a loop wastes most.
One thread, unless more are asked for. On a machine with other work the ratio of processor times is the steadier one.
"""
import argparse, time
from pathlib import Path
import numpy as np, pandas as pd

ROOT = Path(__file__).resolve().parent.parent/'tests_data/embedded'


def chat(prompt, response): return [dict(role='user', content=prompt), dict(role='assistant', content=response)]


def deberta_card(tokenizer, model, prompt, response):
    return model(**tokenizer([prompt], [response], return_tensors='pt')).logits[0].item()


def gemma_card(tokenizer, model, prompt, response):
    return model(tokenizer.apply_chat_template(chat(prompt, response), return_tensors='pt')['input_ids']).logits[0][0].item()


def internlm2_card(tokenizer, model, prompt, response):
    import torch
    ids = tokenizer.encode(tokenizer.apply_chat_template(chat(prompt, response), tokenize=False), return_tensors='pt', add_special_tokens=False)
    if ids[0, -1] != model.reward_token_id: ids = torch.cat([ids, torch.tensor([[model.reward_token_id]])], 1)
    return model(ids, attention_mask=torch.ones_like(ids))[0].item()


CARDS = {'deberta-rm': deberta_card, 'gemma-rm': gemma_card, 'internlm2-rm': internlm2_card}


def loop(card, rm, pairs):
    import torch
    with torch.inference_mode(): return np.array([card(rm.tokenizer, rm.model, p, r) for p, r in pairs])


def timed(f):
    "What f gives, and the seconds it took by the clock and of the processor"
    start, cpu = time.perf_counter(), time.process_time()
    return f(), np.array([time.perf_counter() - start, time.process_time() - cpu])


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in dict(prompts=100, samples=32, tokens=24, threads=1).items(): p.add_argument(f'--{name}', type=int, default=default)
    a = p.parse_args()
    import torch, transformers
    from erp_nbdev.rewards import get_reward_model, score
    from erp_nbdev.store import folder_digest
    from erp_nbdev.settings import SamplingSettings
    from erp_nbdev.sampling import TransformersEngine, sample
    from erp_nbdev.tables import read_table
    torch.set_num_threads(a.threads)
    prompts = read_table(ROOT/'prompts.parquet', 'prompts')
    prompts = prompts.iloc[np.linspace(0, len(prompts) - 1, a.prompts).astype(int)].reset_index(drop=True)
    responses = sample(prompts, TransformersEngine(ROOT/'models/llama-0.15m', dtype='float32'), a.samples, SamplingSettings(max_tokens=a.tokens), progress=False)
    different = responses.drop_duplicates(['prompt_id', 'response'])
    print(f'{a.prompts} prompts x {a.samples} samples = {len(responses):,} responses, {len(different):,} different pairs; {a.threads} threads, float32, '
          f'torch {torch.__version__}, transformers {transformers.__version__}', flush=True)
    rows = []
    for name, card in CARDS.items():
        kw = dict(revision=folder_digest(ROOT/'models'/name), trust_remote_code=True) if name.startswith('internlm2') else {}
        rm = get_reward_model(ROOT/'models'/name, name, dtype='float32', **kw)
        loop(card, rm, [('a', 'b')]*20); score(prompts[:5], responses[responses.prompt_id.isin(prompts.prompt_id[:5])], rm)   # warm up both
        for label, table in {'different pairs only': different, 'all samples': responses}.items():
            pairs = list(table.merge(prompts, on='prompt_id')[['prompt', 'response']].itertuples(index=False, name=None))
            ours = [timed(lambda: score(prompts, table, rm, progress=False).reward.to_numpy()) for _ in range(2)]
            want, slow = timed(lambda: loop(card, rm, pairs))
            ours += [timed(lambda: score(prompts, table, rm, progress=False).reward.to_numpy())]
            gap, fast = max(abs(r - want).max() for r, _ in ours), np.median([t for _, t in ours], axis=0)
            assert gap < 1e-4, f'{name}: rewards differ by {gap}'
            rows.append((name, label, len(table)/slow[0], len(table)/fast[0], slow[0]/fast[0], slow[1]/fast[1], gap))
            print(f'{name:13} {label:21} loop {slow[0]:7.2f} s, score {fast[0]:6.2f} s', flush=True)
    columns = ['reward model', 'what', 'loop, responses/s', 'score, responses/s', 'ratio', 'ratio (processor)', 'largest difference']
    show = pd.DataFrame(rows, columns=columns)
    print(show.to_string(index=False, formatters={columns[2]: '{:,.0f}'.format, columns[3]: '{:,.0f}'.format, 'ratio': '{:.1f}'.format, columns[5]: '{:.1f}'.format, columns[6]: '{:.0e}'.format}))


if __name__ == '__main__': main()
