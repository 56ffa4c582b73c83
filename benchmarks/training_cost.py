"""What more prompts are worth, on real score tables: reward of routing against the number of training prompts.

    python benchmarks/training_cost.py [--splits 20] [--out benchmarks/results] [TABLE…]

Tables as in `comparison.py`, with its vectors and its way of reading them: those in `benchmarks/tables/`, whose scores lie beside the project in
`../shared/data`; one that is not there is left out, and said so. They have one sample per prompt and model, so only N varies here; N and K together are
varied in the chapter "What does it cost to train?" (nbs/beyond/1_training_cost.ipynb), on the table that comes with the package.
Half of each category is for training; of that half the first N of a random order, so the tables of one split are nested. The other half judges.
`gain`: reward less that of the model that is best on the *whole* training half, in units of the reward's range. A router that learns from few prompts,
and may not even know which model is best, is held against what the whole half would say.
`rule`: the curve of the chapter's rule of thumb, top · (1 − (n/N)^c) with the chapter's exponent c; top and n fitted to the shrunk probes' means.
"""
import argparse, os
for name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS'): os.environ.setdefault(name, '1')
from pathlib import Path
import matplotlib.pyplot as plt, numpy as np, pandas as pd
from comparison import HERE, pay, read, unit_of
from erp_nbdev.probes import ExpectedRewardProbes
from erp_nbdev.shrinkage import ShrunkProbes
from erp_nbdev.sizing import RATE

SIZES = (50, 100, 200, 400, 800, 1600)
COLUMNS = ['table', 'seed', 'n', 'method', 'reward', 'best_single', 'gain']

def one_split(name, data, grouped, seed):
    "A row for each number of prompts and each kind of probes; the last number is all there are"
    train, test = data.split(seed).halves()
    X, Y, Z, T = train.X.astype(float), train.Y.to_numpy(), test.X.astype(float), test.Y.to_numpy()
    c, groups, order = train.categories.astype(str), train.groups, np.random.default_rng(seed).permutation(len(X))
    unit, single = unit_of(data), T[:, Y.mean(0).argmax()].mean()
    for n in [n for n in SIZES if n < .9*len(X)] + [len(X)]:
        some = order[:n]
        shrunk = ShrunkProbes().fit(X[some], Y[some], c[some], groups[some] if grouped else None).predict(Z)
        for method, P in {'shrunk': shrunk, 'plain': ExpectedRewardProbes().fit(X[some], Y[some]).predict(Z)}.items():
            reward = pay(P, T)
            yield dict(zip(COLUMNS, [name, seed, n, method, reward, single, (reward - single)/unit]))

def fitted(n, gain, se):
    "(top, break-even number of prompts) of top · (1 − (n/N)^c), by weighted least squares: linear in top and top · n^c"
    w, A = 1/np.maximum(se, 1e-4), np.column_stack([np.ones(len(n)), -n**-RATE])
    (top, fall), *_ = np.linalg.lstsq(A*w[:, None], gain*w, rcond=None)
    return top, (fall/top)**(1/RATE) if top > 0 < fall else np.nan

def summarise(df, out):
    "In print and as a picture: gain by number of prompts, two standard errors, and the rule's curve"
    names, colours = df.table.unique(), dict(shrunk='#0072B2', plain='#D55E00')
    fig, axes = plt.subplots(1, len(names), figsize=(2.2*len(names) + .4, 3), layout='constrained', squeeze=False)
    for ax, name in zip(axes.flat, names):
        g = 1000*df[df.table == name].groupby(['method', 'n']).gain.agg(['mean', 'sem', 'min'])
        n, mean, sem = g.loc['shrunk'].index.to_numpy(float), *g.loc['shrunk'][['mean', 'sem']].to_numpy().T
        top, even = fitted(n, mean, sem)
        print(f'\n{name}: gain in thousandths, mean / worst split; rule: top {top:.1f}, break-even at {even:.0f} prompts with one sample')
        print((g['mean'].map('{:.1f}'.format) + ' / ' + g['min'].map('{:.0f}'.format)).unstack('n').to_string())
        for (method, colour), mark in zip(colours.items(), 'os'):
            p = g.loc[method]; ax.errorbar(p.index, p['mean'], 2*p['sem'], color=colour, marker=mark, ms=4, lw=1.2, capsize=2, label=method)
        if np.isfinite(even): x = np.geomspace(n.min(), n.max()); ax.plot(x, top*(1 - (even/x)**RATE), color='black', ls=':', lw=1.5, label='rule', zorder=3)
        ax.axhline(0, color='.4', ls='--', lw=1); ax.set_xscale('log'); ax.set_title(name, fontsize=9); ax.tick_params(labelsize=8)
        ax.set_xticks([50, 200, 800], [50, 200, 800]); ax.minorticks_off(); ax.grid(axis='y', color='.92'); ax.spines[['top', 'right']].set_visible(False)
    axes[0, 0].set_ylabel("gain over the best single model,\nthousandths of the reward's range", fontsize=9); fig.supxlabel('training prompts N, one sample each', fontsize=9)
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc='outside upper center', ncol=3, frameon=False, fontsize=9)
    fig.savefig(out/'training_cost.png', dpi=150)

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, kw in dict(tables=dict(nargs='*'), __splits=dict(type=int, default=20), __out=dict(type=Path, default=HERE/'results')).items():
        parser.add_argument(name.replace('_', '-'), **kw)
    args = parser.parse_args(); args.out.mkdir(parents=True, exist_ok=True); file, rows = args.out/'training_cost.csv', []; plt.switch_backend('agg')
    for name in args.tables or [p.stem for p in sorted((HERE/'tables').glob('*.yaml'))]:
        if not (found := read(name)): continue
        rows += [row for seed in range(args.splits) for row in one_split(name, *found, seed)]
        pd.DataFrame(rows, columns=COLUMNS).to_csv(file, index=False, float_format='%.6g')
        print(f'{name}: {len(found[0].X):,} prompts, {len(found[0].models)} models, {args.splits} splits.', flush=True)
    if rows: summarise(pd.DataFrame(rows), args.out)
    else: print('Nothing to do: none of the tables is here.')
if __name__ == '__main__': main()
