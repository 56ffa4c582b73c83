"""Does the surface of a prompt tell more than its vector? Eleven numbers beside it, on the tables of `comparison.py`.

    python benchmarks/features.py [TABLE…] [--splits 10] [--out benchmarks/results]

Logarithm of the length, words, shares of digits, code characters, capitals and characters beyond ASCII, line breaks, question marks, code fences, formulas,
and digits at the end; standardised on the training half, and scaled so that they have half of the vectors' mean squared length together. Gain over the best single
model of the training half, in thousandths as in `comparison.py`, of shrunk probes that always route, with them and without; and the same difference on
shuffled rewards, where there is nothing to gain.
"""
import argparse, os, re
for name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS'): os.environ.setdefault(name, '1')
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
import numpy as np, pandas as pd
from comparison import EMBEDDED, HERE, pay, read, unit_of
from erp_nbdev.settings import read_experiment
from erp_nbdev.shrinkage import ShrunkProbes
from erp_nbdev.tables import Tables

def surface(text):
    n = max(len(text), 1); share = lambda pattern: len(re.findall(pattern, text))/n
    return [np.log1p(len(text)), np.log1p(len(text.split())), share(r'\d'), share(r'[{}()\[\];=<>_]'), share(r'[A-Z]'), share(r'[^\x00-\x7f]'), np.log1p(text.count('\n')),
            np.log1p(text.count('?')), float('```' in text), float('$' in text or '\\' in text), float(bool(re.search(r'\d\W*$', text)))]

def beside(X, F, train):
    F = (F - F[train].mean(0))/np.maximum(F[train].std(0), 1e-9)
    X = X - X[train].mean(0)
    return np.hstack([X, F.clip(-5, 5)*np.sqrt(.5*(X[train]**2).sum(1).mean()/F.shape[1])])

def one(name, splits):
    if not (found := read(name)): return []
    data, grouped = found; rows, folder = [], EMBEDDED if name.startswith('embedded') else read_experiment(HERE/'tables'/f'{name}.yaml').data.path
    text = Tables.read(folder).prompts.set_index('prompt_id').prompt[data.prompt_ids]
    F, X, Y = np.array([surface(t) for t in text]), data.X.astype(float), data.Y.to_numpy()
    for seed in range(splits):
        train = data.split(seed).train
        for rewards, Z in (('as they are', Y), ('shuffled', Y[np.random.default_rng(seed).permutation(len(Y))])):
            for told in (True, False):
                for how, V in (('vector', X), ('and surface', beside(X, F, train))):
                    p = ShrunkProbes(sure=0).fit(V[train], Z[train], data.categories[train] if told else None, data.groups[train] if grouped else None)
                    gain = 1000*(pay(p.predict(V[~train]), Z[~train]) - Z[~train][:, Z[train].mean(0).argmax()].mean())/unit_of(data)
                    rows.append(dict(table=name, seed=seed, rewards=rewards, categories='told' if told else 'not told', how=how, gain=gain))
    return rows

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('tables', nargs='*'); parser.add_argument('--splits', type=int, default=10); parser.add_argument('--out', type=Path, default=HERE/'results')
    args = parser.parse_args(); args.out.mkdir(parents=True, exist_ok=True)
    names = args.tables or [p.stem for p in sorted((HERE/'tables').glob('*.yaml'))] + [f'embedded/{r}' for r in Tables.read(EMBEDDED).reward_models]
    with ProcessPoolExecutor(2) as pool: df = pd.DataFrame([r for rows in pool.map(partial(one, splits=args.splits), names) for r in rows])
    df.to_csv(args.out/'features.csv', index=False, float_format='%.4g')
    g = df.groupby(['rewards', 'categories', 'how', 'table'], sort=False).gain.mean().unstack('table')
    print(g.assign(mean=g.mean(axis=1)).round(1).to_string())
    d = df.pivot_table('gain', ['rewards', 'categories', 'table', 'seed'], 'how'); d = (d['and surface'] - d['vector']).groupby(['rewards', 'categories', 'table']).agg(['mean', 'sem'])
    print('\nwith the surface less without it\n' + d.round(1).to_string())
if __name__ == '__main__': main()
