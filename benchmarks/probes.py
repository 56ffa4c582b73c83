"""Probes against scikit-learn's RidgeCV: 16 models x 20 penalties on 20,000 prompts x 1,024 dimensions.

    python benchmarks/probes.py [--models 16] [--prompts 20000] [--dims 1024] [--alphas 20] [--threads N]

Both choose a penalty per model by leave-one-out error and then fit. `RidgeCV` is fitted once per model, which is what
one has to write when models come and go or miss different prompts. For the record, the last line times it on all models at once too.

Vectors and rewards are drawn at random: only the shapes matter to the time. (Nothing else in this project is trained on such numbers.)
"""
import argparse, os, time
import numpy as np, sklearn
from sklearn.linear_model import RidgeCV
from threadpoolctl import threadpool_limits
from erp_nbdev.probes import ExpectedRewardProbes


def made_up(n, d, m, seed=0):
    "Unit vectors whose dimensions differ in size, as those of an embedder do, and a linear signal under noise for every model"
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * np.linspace(1, .05, d)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    return X, X @ rng.normal(size=(d, m)) + rng.normal(size=(n, m))


def timed(f):
    "What f gives, the seconds it took by the clock, and the seconds of processor time (all threads), which a busy machine hardly changes"
    start, cpu = time.perf_counter(), time.process_time()
    return f(), time.perf_counter() - start, time.process_time() - cpu


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in dict(models=16, prompts=20_000, dims=1_024, alphas=20, threads=os.cpu_count()).items(): p.add_argument(f'--{name}', type=int, default=default)
    a = p.parse_args()
    X, Y = made_up(a.prompts, a.dims, a.models)
    alphas = np.logspace(-2, 4, a.alphas)
    print(f'{a.prompts:,} prompts x {a.dims:,} dimensions, {a.models} models, {a.alphas} penalties, {a.threads} BLAS threads, scikit-learn {sklearn.__version__}', flush=True)
    with threadpool_limits(a.threads):
        ExpectedRewardProbes().fit(X[:200], Y[:200])   # warm up both
        RidgeCV(alphas).fit(X[:200], Y[:200, 0])
        ours, t_ours, cpu_ours = timed(lambda: ExpectedRewardProbes(alphas=alphas).fit(X, Y))
        print(f'ExpectedRewardProbes, all models: {t_ours:8.2f} s, processor {cpu_ours:8.2f} s', flush=True)
        theirs, t_theirs, cpu_theirs = timed(lambda: [RidgeCV(alphas).fit(X, y) for y in Y.T])
        print(f'RidgeCV, one fit per model:       {t_theirs:8.2f} s, processor {cpu_theirs:8.2f} s', flush=True)
        assert (ours.alpha_ == [r.alpha_ for r in theirs]).all(), 'they chose different penalties'
        gap = max(np.abs(c - r.coef_).max() for c, r in zip(ours.coef_, theirs))
        print(f'ratio {t_theirs / t_ours:.1f} (processor {cpu_theirs / cpu_ours:.1f}); the same penalties chosen; largest difference of a coefficient {gap:.1e}', flush=True)
        _, t_joint, cpu_joint = timed(lambda: RidgeCV(alphas, alpha_per_target=True).fit(X, Y))
        print(f'RidgeCV, one fit for all models:  {t_joint:8.2f} s, ratio {t_joint / t_ours:.1f} (processor {cpu_joint / cpu_ours:.1f})')


if __name__ == '__main__': main()
