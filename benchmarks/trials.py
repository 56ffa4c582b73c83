"""The choices inside the shrunken probes (chapter 07), tried on the tables of `comparison.py`: one change at a time, on the same candidates.

    python benchmarks/trials.py [--splits 10] [--out benchmarks/results] [TABLE…]

For each split the candidates are learned once, by chapter 07's own functions; then each rule mixes or picks among them. Gains over the best single
model on the test half, in thousandths as in `comparison.py`. `+` adds a family, `−` takes one away. `told` uses the categories of the training prompts,
`not told` does not. These are trials: who reads the table to choose a rule has chosen it on these tables. What was chosen so, after some forty rules
on ten splits of these nine tables, are the families and that the incumbent is not one of them; η, folds and penalties are older than this file.
"""
import argparse, os
for name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS'): os.environ.setdefault(name, '1')
from pathlib import Path
import numpy as np, pandas as pd
from comparison import EMBEDDED, HERE, pay, read, unit_of
from erp_nbdev.routing import call_cost
from erp_nbdev.shrinkage import ShrunkProbes, candidate_predictions, exponential_weights, fit_pieces, gains, out_of_fold
from erp_nbdev.tables import Tables

def mixed(P, Q, D, mean, families, eta=2., groups=None, how='weigh', cost=None, flat=False):
    "Test predictions of one rule; P out of fold, Q on the test half"
    names = [f for f in families if f in P]
    out, test = (np.concatenate([A[f] for f in names]) for A in (P, Q))
    if how == 'squared error': return test[((out - D)**2).mean((1, 2)).argmin()]
    gain, se = gains(out, D, mean, cost, groups)
    if how == 'best': return test[gain.argmax()]
    if how == 'best by one se': return test[gain.argmax()] if gain.max() > se[gain.argmax()] else np.tile(mean, (test.shape[1], 1))
    prior = np.concatenate([np.full(len(P[f]), 1. if flat else 1/len(P[f])) for f in names])
    return np.tensordot(exponential_weights(gain, se, prior, eta), test, 1)

ALL = ('categories', 'vector', 'kinds', 'neighbours')
RULES = {'as it is': dict(families=ALL), '+ the incumbent': dict(families=('incumbent', *ALL)), 'categories alone': dict(families=ALL[:1]),
    'line alone': dict(families=ALL[1:2]), 'kinds alone': dict(families=ALL[2:3]), 'neighbours alone': dict(families=ALL[3:]),
    '− categories': dict(families=ALL[1:]), '− line': dict(families=(ALL[0], *ALL[2:])), '− kinds': dict(families=(*ALL[:2], ALL[3])), '− neighbours': dict(families=ALL[:3]),
    **{f'η = {e:g}': dict(families=ALL, eta=e) for e in (.5, 1, 4, 8)}, 'all candidates alike': dict(families=ALL, flat=True),
    'the best one': dict(families=ALL, how='best'), 'the best, by one standard error': dict(families=ALL, how='best by one se'),
    'by squared error': dict(families=ALL, how='squared error'), 'chosen for a range of λ': dict(families=ALL, cost=True)}

def one_split(name, data, grouped, seed):
    train, test = data.split(seed).halves()
    X, Y, Z, T, cost = train.X.astype(float), train.Y.to_numpy(), test.X.astype(float), test.Y.to_numpy(), call_cost(data.pool)
    groups = np.unique(train.groups, return_inverse=True)[1] if grouped else None
    for told in (True, False):
        c, probes = np.unique(train.categories if told else ['']*len(X), return_inverse=True)[1], ShrunkProbes()
        u, sizes = probes._cut(X, c, groups), probes._sizes(len(X))
        P, _, D = out_of_fold(u, Y, probes.alphas, **sizes)
        p = fit_pieces(u.whole, Y, probes.alphas)
        Q, _ = candidate_predictions(p, u.whole.transform(Z), **sizes)
        P['incumbent'], Q['incumbent'] = np.tile(p.mean, (1, len(Y), 1)), np.tile(p.mean, (1, len(Z), 1))
        for rule, kw in RULES.items():
            if 'cost' in kw and not np.isfinite(cost).all() or not any(f in P for f in kw['families']): continue
            S = mixed(P, Q, D, p.mean, groups=groups, **kw | ({'cost': cost} if 'cost' in kw else {}))
            yield dict(table=name, seed=seed, categories='told' if told else 'not told', rule=rule, gain=1000*(pay(S, T) - T[:, p.mean.argmax()].mean())/unit_of(data))

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('tables', nargs='*'); parser.add_argument('--splits', type=int, default=10); parser.add_argument('--out', type=Path, default=HERE/'results')
    args, rows = parser.parse_args(), []
    for name in args.tables or [p.stem for p in sorted((HERE/'tables').glob('*.yaml'))] + [f'embedded/{r}' for r in Tables.read(EMBEDDED).reward_models]:
        if found := read(name): rows += [r for seed in range(args.splits) for r in one_split(name, *found, seed)]
    df = pd.DataFrame(rows); args.out.mkdir(parents=True, exist_ok=True); df.to_csv(args.out/'trials.csv', index=False, float_format='%.4g')
    g = df.groupby(['categories', 'rule', 'table'], sort=False).gain
    cell = g.mean().map('{:.1f}'.format) + ' / ' + g.min().map('{:.0f}'.format)
    print(f'mean / worst of {args.splits} splits\n' + cell.unstack('table').assign(mean=g.mean().unstack('table').mean(axis=1).round(1)).fillna('–').to_string())
if __name__ == '__main__': main()
