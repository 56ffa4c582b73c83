"""A strong and a weak model, in RouteLLM's own terms: average performance gap recovered (APGR) and call-performance thresholds (CPT).

    python benchmarks/strong_weak.py [--splits 10]

On RouteLLM's evaluation of MMLU and GSM8K (../shared/data/routellm, beside the project; without it this says so) half of each category is for training.
A router scores each test prompt by how much better the strong model is predicted to do; the share of prompts with the highest scores goes to the strong one.
Performance gap recovered: (reward − the weak model's)/(the strong model's − the weak one's). APGR: its mean over all shares, .5 for a random choice.
CPT(x): the least share of calls to the strong model that recovers x of the gap. `saved`: the share of strong calls that can be left out at no loss at all.
Chosen on nothing of the test half but the share, which is what is plotted against.
"""
import argparse, os
for name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS'): os.environ.setdefault(name, '1')
import numpy as np, pandas as pd
from comparison import read
from erp_nbdev.probes import ExpectedRewardProbes
from erp_nbdev.routing import call_cost
from erp_nbdev.shrinkage import ShrunkProbes

def measures(score, weak, strong):
    order = np.argsort(-score, kind='stable'); earned = np.r_[0, np.cumsum((strong - weak)[order])]/len(score)
    recovered, share = earned/(strong - weak).mean(), np.linspace(0, 1, len(score) + 1)
    first = lambda x: share[np.argmax(recovered >= x)]
    return {'APGR': recovered.mean(), 'CPT(50%)': first(.5), 'CPT(80%)': first(.8), 'saved': 1 - first(1)}

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--splits', type=int, default=10); splits = parser.parse_args().splits
    if not (found := read('routellm')): return
    data, rows = found[0], []
    for seed in range(splits):
        train, test = data.split(seed).halves(); cost, T = call_cost(data.pool, 'price'), test.Y.to_numpy()
        strong, rng = train.Y.mean().argmax(), np.random.default_rng(seed); gap = lambda P: P[:, strong] - P[:, 1 - strong]
        probes = ShrunkProbes().fit(train.X, train.Y, train.categories, cost=cost)
        scores = {'shrunk ERP': gap(probes.predict(test.X, lam=1.)), 'ERP, α = 1': gap(ExpectedRewardProbes().fit(train.X, train.Y).predict(test.X)),
                  'random': rng.random(len(T)), 'hindsight oracle': gap(T)}
        rows += [dict(seed=seed, router=k, **measures(s, T[:, 1 - strong], T[:, strong])) for k, s in scores.items()]
    df = pd.DataFrame(rows); g = df.groupby('router', sort=False).agg(['mean', 'min', 'max']).drop(columns='seed')
    print(f'{len(T):,} test prompts, {splits} splits\n' + g.round(3).to_string() + f'\nlast split: {probes.verdict()}\n            {probes.verdict(1)}')
if __name__ == '__main__': main()
