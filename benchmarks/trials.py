"""The shrunk probes (chapter 07) with one part changed, how sure to be, and tables with nothing to gain.

    python benchmarks/trials.py parts [--splits 10] [--out benchmarks/results] [TABLE…]
    python benchmarks/trials.py nulls [--splits 10] [--out benchmarks/results] [TABLE…]

`parts`: gain over the best single model of the training half on the test half, in thousandths as in `comparison.py`, with all of the predicted effects followed (`sure=0`),
with one part of the estimator changed; then as it is with several values of `sure`, and with the yes or no of the gain alone in the slope's place. `told` uses the categories of the training prompts, `not told` does not.
`nulls`: the same on null tables made from every table, one of each kind for each split:
  shuffled              rewards of another prompt
  shuffled in category  of another prompt of the category: only the category tells anything
  strong alike          on every prompt the rewards of the three best models dealt anew among them
  strong copies         the three best are one model, each with rewards of other prompts of the category
  many                  the same, and two more such copies of every weak model
  categories dealt      the categories of the prompts dealt anew
  dominant              one model has the best reward of all on seven prompts in ten
What `sure` is by default was chosen by looking at such trials, on the tables named here and on some seventy random parts of them (categories, models, 400 to
3,000 prompts); a table that nobody has looked at is the better judge.
"""
import argparse, os
for name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS'): os.environ.setdefault(name, '1')
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from unittest.mock import patch
import numpy as np, pandas as pd
from comparison import EMBEDDED, HERE, pay, read, unit_of
from erp_nbdev import shrinkage
from erp_nbdev.shrinkage import Effects, ShrunkProbes, group_sums, mean_known, model_means, probability
from erp_nbdev.tables import Tables

SURE = 0, .5, .75, .9

# parts of the estimator, changed
def pooled(D, group, G):
    "`random_effects` with variances pooled over the models"
    known = ~np.isnan(D); D = np.where(known, D - mean_known(D), 0); n = group_sums(known*1., group, G)
    mean, N, k = group_sums(D, group, G)/np.maximum(n, 1), n.sum(0), (n > 0).sum(0)
    within = (known*(D - mean[group])**2).sum()/max((N - k).sum(), 1)
    between = max(((n*mean**2).sum() - (k - 1).sum()*within)/max((N - (n**2).sum(0)/np.maximum(N, 1)).sum(), 1e-12), 0)
    return mean*n*between/np.maximum(n*between + within, 1e-300)

def unshrunk(D, group, G):
    known = ~np.isnan(D); n = group_sums(known*1., group, G)
    return group_sums(np.where(known, D - mean_known(D), 0), group, G)/np.maximum(n, 1)

def categories_first(groups, D):
    "`fit_effects` with one estimate: clusters on what the categories leave"
    left = D - mean_known(D); effects = shrinkage.random_effects(left, groups.category, groups.category.max() + 1)*(groups.discriminant is not None)
    left = left - effects[groups.category]
    return Effects(model_means(D), effects, [shrinkage.random_effects(left, at, k) for at, k in zip(groups.members, groups.sizes)])

def to_incumbent(Y, *_):
    "`differences` from the best model instead of the mean of all"
    best = Y[:, [np.nanmean(Y, 0).argmax()]]
    return best[:, 0], Y - best

PARTS = {'as it is': {}, 'categories alone': dict(clusters=()), '16 clusters': dict(clusters=(16,)), '8 and 32': dict(clusters=(8, 32)), 'one start each': dict(partitions=1),
    'ten folds': dict(folds=10), 'categories first': ('fit_effects', categories_first), 'variances pooled': ('random_effects', pooled),
    'nothing shrunk': ('random_effects', unshrunk), 'differences from the best model': ('differences', to_incumbent)}

# null tables
def shuffle(Y, within, rng):
    out = Y.copy()
    for k in np.unique(within): i = np.flatnonzero(within == k); out[i] = Y[rng.permutation(i)]
    return out
def alike(Y, c, rng):
    out, top = Y.copy(), np.argsort(-Y.mean(0))[:3]; out[:, top] = rng.permuted(Y[:, top], axis=1)
    return out
def copies(Y, c, rng, more=0):
    out, order = Y.copy(), np.argsort(-Y.mean(0)); best = Y[:, order[:1]]
    for m in order[:3]: out[:, [m]] = shuffle(best, c, rng)
    return np.hstack([out, *(shuffle(Y[:, [m]], c, rng) for m in order[3:] for _ in range(more))])
def dominant(Y, c, rng):
    out, best = Y.copy(), Y.mean(0).argmax(); out[:, best] = np.where(rng.random(len(Y)) < .7, Y.max(1), Y[:, best])
    return out
NULLS = {'shuffled': lambda Y, c, rng: (shuffle(Y, c*0, rng), c), 'shuffled in category': lambda Y, c, rng: (shuffle(Y, c, rng), c),
    'strong alike': lambda Y, c, rng: (alike(Y, c, rng), c), 'strong copies': lambda Y, c, rng: (copies(Y, c, rng), c), 'many': lambda Y, c, rng: (copies(Y, c, rng, 2), c),
    'categories dealt': lambda Y, c, rng: (Y, rng.permutation(c)), 'dominant': lambda Y, c, rng: (dominant(Y, c, rng), c)}

def gains(X, Y, c, groups, train, unit, told, sures=(0,), **kw):
    "Gain on the test half for each of `sures`; 'by the gain alone': all of the effects, where their gain is above 0 with a probability of .75"
    T, stay, found = Y[~train], Y[train].mean(0).argmax(), {}
    for sure in sures:
        p = ShrunkProbes(sure=sure, **kw).fit(X[train], Y[train], c[train] if told else None, None if groups is None else groups[train])
        found[sure] = 1000*(pay(p.predict(X[~train]), T) - T[:, stay].mean())/unit
        if sure == 0: found['by the gain alone'] = found[0] if probability(p.gain_[0], p.gain_se_[0]) > .75 else 0.
    return found

def parts(name, X, Y, c, groups, train, unit, seed):
    for told in (True, False):
        about = dict(table=name, seed=seed, categories='told' if told else 'not told')
        for rule, kw in PARTS.items():
            changed = isinstance(kw, tuple)
            if rule == 'categories alone' and not told: continue
            with patch.object(shrinkage, *(kw if changed else ('SURE', None)), create=not changed): g = gains(X, Y, c, groups, train, unit, told, {'as it is': SURE, 'nothing shrunk': (0, .75)}.get(rule, (0,)), **({} if changed else kw))
            yield about | dict(rule=rule, gain=g[0])
            if rule == 'nothing shrunk': yield about | dict(rule='nothing shrunk, sure = 0.75', gain=g[.75])
            if rule == 'as it is': yield from (about | dict(rule=f'sure = {s}' if s in SURE else s, gain=v) for s, v in g.items() if s != 0)

def nulls(name, X, Y, c, groups, train, unit, seed):
    for kind, make in NULLS.items():
        Z, d = make(Y, c, np.random.default_rng(seed))
        for told in (True, False):
            for s, g in gains(X, Z, d, groups, train, unit, told, SURE).items(): yield dict(table=name, null=kind, seed=seed, categories='told' if told else 'not told', sure=s, gain=g)

def one(what, name, splits):
    if not (found := read(name)): return []
    data, grouped = found; c = np.unique(data.categories, return_inverse=True)[1]
    return [r for s in range(splits) for r in dict(parts=parts, nulls=nulls)[what](name, data.X.astype(float), data.Y.to_numpy(), c, data.groups if grouped else None, data.split(s).train, unit_of(data), s)]

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('what', choices=['parts', 'nulls']); parser.add_argument('tables', nargs='*'); parser.add_argument('--splits', type=int, default=10); parser.add_argument('--out', type=Path, default=HERE/'results')
    args = parser.parse_args(); args.out.mkdir(parents=True, exist_ok=True)
    names = args.tables or [p.stem for p in sorted((HERE/'tables').glob('*.yaml'))] + [f'embedded/{r}' for r in Tables.read(EMBEDDED).reward_models]
    with ProcessPoolExecutor(2) as pool: df = pd.DataFrame([r for rows in pool.map(partial(one, args.what, splits=args.splits), names) for r in rows])
    df.to_csv(args.out/f'trials_{args.what}.csv', index=False, float_format='%.4g')
    by = ['categories', 'rule'] if args.what == 'parts' else ['categories', 'null', 'sure']
    t = df.groupby([*by, 'table'], sort=False).gain.mean().unstack('table')
    print(t.assign(mean=t.mean(axis=1), worst=t.min(axis=1)).round(1).to_string())
if __name__ == '__main__': main()
