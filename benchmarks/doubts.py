"""What the shrunk probes say of their own doubts (chapter 07), on the tables of `comparison.py`.

    python benchmarks/doubts.py [--splits 10] [--out benchmarks/results] [TABLE…]

Coverage: which share of the test half's rewards lies in the 90 % intervals, over all models and for the model where it is least, and which share of the
test prompts is flagged as out of distribution (OOD). Unseen categories: one category is left out of training (at most 1,500 prompts of the others) and half of it judged;
beside it the same with its other half among them. Gains over the model that was best on the training prompts, in thousandths as in `comparison.py`,
with the flag and without it (`ood_share=0`), always routed (`sure=0`); two choices of prompts for each category.
"""
import argparse, os
for name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS'): os.environ.setdefault(name, '1')
from pathlib import Path
import numpy as np, pandas as pd
from comparison import EMBEDDED, HERE, pay, read, unit_of
from erp_nbdev.shrinkage import ShrunkProbes
from erp_nbdev.tables import Tables

def coverage(name, data, grouped, splits):
    for seed in range(splits):
        train, test = data.split(seed).halves()
        probes = ShrunkProbes().fit(train.X, train.Y, train.categories, train.groups if grouped else None)
        low, high = probes.predict_interval(test.X)
        inside = ((test.Y.to_numpy() >= low) & (test.Y.to_numpy() <= high)).mean(0)
        yield dict(table=name, seed=seed, covered=inside.mean(), least=inside.min(), width=(high - low).mean()/data.Y.to_numpy().std(), ood=probes.out_of_distribution(test.X).mean())

def unseen(name, data, seeds=2, most=1500):
    Y, unit = data.Y.to_numpy(), unit_of(data)
    for seed in range(seeds):
        for kind in np.unique(data.categories):
            rng, own = np.random.default_rng(seed), data.categories == kind
            inside, others = rng.permutation(np.flatnonzero(own)), rng.permutation(np.flatnonzero(~own))
            test, half, n = inside[:len(inside)//2], inside[len(inside)//2:], min(len(others), most)
            for how, some in {'unseen': others[:n], 'seen': np.r_[others[:n - len(half)], half]}.items():
                fits = {f: ShrunkProbes(sure=0, ood_share=f).fit(data.X[some], Y[some], data.categories[some]) for f in (0, .02)}
                stay = Y[test][:, Y[some].mean(0).argmax()].mean()
                yield dict(table=name, seed=seed, category=kind, how=how, ood=fits[.02].out_of_distribution(data.X[test]).mean(),
                           **{f'gain, {label}': 1000*(pay(fits[f].predict(data.X[test]), Y[test]) - stay)/unit for f, label in ((0, 'all followed'), (.02, 'OOD flag'))})

def picture(left, file):
    "Every category left out, or half seen: a dot each, all tables in one picture"
    import matplotlib.pyplot as plt
    names = list(left.table.unique()); plt.switch_backend('agg')
    fig, axes = plt.subplots(1, 2, figsize=(9, .4*len(names) + 1.4), sharex=True, sharey=True, layout='constrained')
    gain = left.groupby(['table', 'how', 'category'])['gain, OOD flag'].mean()
    for ax, (how, title) in zip(axes, dict(unseen='category not seen in training', seen='half of it seen').items()):
        for y, name in enumerate(names): ax.plot(gain[name, how], [y]*len(gain[name, how]), 'o', ms=4, alpha=.6, color='#332288')
        ax.plot([gain[name, how].mean() for name in names], range(len(names)), '|', ms=14, mew=2.5, color='#cc6677', label='mean over categories')
        ax.axvline(0, color='black', ls='--', lw=1); ax.set(title=title, xlabel='gain over the best single model, thousandths'); ax.set_xscale('symlog', linthresh=20)
    axes[0].set_yticks(range(len(names)), names); axes[0].invert_yaxis(); fig.legend(*axes[0].get_legend_handles_labels(), loc='outside lower center', frameon=False, fontsize=8)
    fig.savefig(file, dpi=150)

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('tables', nargs='*'); parser.add_argument('--splits', type=int, default=10); parser.add_argument('--out', type=Path, default=HERE/'results')
    args, covered, left = parser.parse_args(), [], []
    for name in args.tables or [p.stem for p in sorted((HERE/'tables').glob('*.yaml'))] + [f'embedded/{r}' for r in Tables.read(EMBEDDED).reward_models]:
        if not (found := read(name)): continue
        covered += coverage(name, *found, args.splits)
        if name != 'korbench_by_rule': left += unseen(name, found[0])      # the same prompts and categories as korbench
    args.out.mkdir(parents=True, exist_ok=True); covered, left = pd.DataFrame(covered), pd.DataFrame(left)
    for df, file in ((covered, 'coverage'), (left, 'unseen')): df.to_csv(args.out/f'{file}.csv', index=False, float_format='%.4g')
    print(f'90 % intervals, mean of {args.splits} splits\n', covered.groupby('table', sort=False).mean().drop(columns='seed').round(3).to_string())
    if not len(left): return
    picture(left, args.out/'unseen.png')
    g = left.groupby(['table', 'how'], sort=False).mean(numeric_only=True).drop(columns='seed')
    worst = left.groupby(['table', 'how', 'category'], sort=False).mean(numeric_only=True).groupby(['table', 'how'], sort=False).min()
    print('unseen categories: means over categories, and the category where most is lost\n', g.join(worst.filter(like='gain').add_prefix('worst ')).round(2).to_string())
if __name__ == '__main__': main()
