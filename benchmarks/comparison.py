"""Routing methods on equal terms: the same splits, vectors and rewards for all, nothing chosen on the test half.

    python benchmarks/comparison.py [--splits 20] [--out benchmarks/results] [TABLE…]

TABLE is a name in `benchmarks/tables/`, or `embedded/REWARD_MODEL` for the table that comes with the package (32 samples per prompt); all of
them unless given. The first kind lies beside the project (`../shared/data`) and is not part of it: what is not there is left out, and said so.
Vectors are those of minilm, kept in `runs/.cache`. Half of each category is for training and half for testing, with seeds 0, 1, …; where the
experiment file names a group, groups stay whole. Prompts that some model has no reward for are left out, and tables of more than 6,000 prompts
are cut to the first 4,425 of a seeded permutation. `comparison.csv` is written split by split, and what it holds already is not done again.

`gain` is the reward less that of the model that was best on the training half, in units of the reward's range if that is 0 … 1, else of its
standard deviation. `fit_s` and `decide_us` (per prompt, the embedding not counted) are of processor time, one thread. `cost_ratio`, where all costs are known: the
least cost on the method's exact λ-frontier at which it earns what the best single model does, over that model's (empty where it never does; this
is read off the test half, for all methods alike). Ties go to the model that is better on the training half.

Methods and their namesakes. One logistic regression per pair: RouteLLM's problem, for all pairs. Matrix factorisation: RouteLLM's network and noise,
64 dimensions, stopped early on a fifth of the training half; theirs has 128, OpenAI's vectors, and battles of 64 models of an arena. Similarity-weighted
ranking: RouteLLM's weights and a Bradley–Terry fit for every prompt, but of our models and not of ten tiers of the arena's. k-means: the Avengers' ranking
per cluster, k by cross-validation of routed reward. Random forest per pair: RoRF's, with 25 trees. CARROT: its kNN regressors, k per model by squared
error; with one cost per model its cost regressor is a constant, so that quality is all there is. Zooter: as in chapter 07, temperature 1.
"""
import argparse, os, time
for name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS'): os.environ.setdefault(name, '1')
from functools import partial
from itertools import combinations
from pathlib import Path
import matplotlib; matplotlib.use('Agg')
import matplotlib.pyplot as plt, numpy as np, pandas as pd
from scipy.stats import studentized_range
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from erp_nbdev.embedding import EmbeddingCache, embed_prompts, get_embedder
from erp_nbdev.experiment import read_experiment
from erp_nbdev.probes import ExpectedRewardProbes, factorise, solve
from erp_nbdev.routing import CategoryBest, Zooter, call_cost, complete_rows, frontier, split_oracle_value
from erp_nbdev.shrinkage import ShrunkProbes, stratified_folds
from erp_nbdev.tables import Tables, routing_data

HERE = Path(__file__).resolve().parent
EMBEDDED = HERE.parent/'tests_data/embedded'
SLOW = {'random forest per pair': 5, 'MLP': 5}    # on how many splits, at most
KEY, COLUMNS = ['table', 'seed', 'method'], ['reward', 'best_single', 'gain', 'fit_s', 'decide_us', 'cost_ratio']


def pay(P, Y): return Y[np.arange(len(Y)), P.argmax(1)].mean()

def pick(candidates, X, Y, folds):
    "Of the routers that `candidates(X, Y)` lists, the one that earns most out of fold"
    earned = sum(np.array([pay(f(X[folds == k]), Y[folds == k])*(folds == k).sum() for f in candidates(X[folds != k], Y[folds != k])]) for k in range(5))
    return candidates(X, Y)[earned.argmax()]

def ridges(X, Y):
    f = factorise(X)
    return [lambda Z, coef=coef, b=b: Z @ coef.T + b for coef, b in (solve(f, Y, a) for a in ShrunkProbes().alphas)]

def neighbours(X, Y):
    def predict(Z, k): return Y[np.argpartition(-(Z @ X.T), k - 1, axis=1)[:, :k]].mean(1)
    return [partial(predict, k=min(k, len(X))) for k in (80, 40, 20, 10, 5)]

def clusters(X, Y):
    def one(k):
        km = KMeans(k, n_init=2, random_state=0).fit(X)
        means = np.stack([Y[km.labels_ == j].mean(0) for j in range(k)])
        return lambda Z: means[km.predict(Z)]
    return [one(k) for k in (8, 16, 32, 64) if k < len(X)/2]

def carrot(X, Y, folds, *_):
    error = sum(np.array([((f(X[folds == k]) - Y[folds == k])**2).sum(0) for f in neighbours(X[folds != k], Y[folds != k])]) for k in range(5))
    best, fs = error.argmin(0), neighbours(X, Y)
    def predict(Z):
        P = {b: fs[b](Z) for b in set(best)}
        return np.column_stack([P[b][:, m] for m, b in enumerate(best)])
    return predict

def per_pair(classifier, X, Y):
    "Mean probability of winning over the other models; ties are dropped"
    M, fitted = Y.shape[1], {}
    for i, j in combinations(range(M), 2):
        d, y = Y[:, i] != Y[:, j], Y[:, i] > Y[:, j]
        fitted[i, j] = clone(classifier).fit(X[d], y[d]) if 0 < y[d].sum() < d.sum() else y[d].mean() if d.any() else .5
    def predict(Z):
        S = np.zeros((len(Z), M))
        for (i, j), f in fitted.items():
            p = f if np.isscalar(f) else f.predict_proba(Z)[:, 1]
            S[:, i] += p; S[:, j] += 1 - p
        return S/(M - 1)
    return predict

def logistic(X, Y): return [per_pair(LogisticRegression(C=C, tol=1e-3), X, Y) for C in (.1, 1, 10)]

def factorisation(X, Y, folds, seed, *_, dims=64, noise=.05):
    "score = w · (v_m ⊙ P x), v_m of unit length, logistic loss over the untied pairs of models"
    import torch
    torch.manual_seed(seed); torch.set_num_threads(1)
    rng, (n, M), d = np.random.default_rng(seed), Y.shape, X.shape[1]
    i, j = np.triu_indices(M, 1)
    x, sign = torch.tensor(X, dtype=torch.float32), torch.tensor(np.sign(Y[:, i] - Y[:, j]), dtype=torch.float32)
    V, P, w = (torch.nn.Parameter(torch.randn(s)*scale) for s, scale in (((M, dims), 1), ((d, dims), d**-.5), ((dims,), dims**-.5)))
    score = lambda x: (x @ P*w) @ torch.nn.functional.normalize(V, dim=1).T
    def loss(x, sign): s = score(x); return (torch.nn.functional.softplus(-sign*(s[:, i] - s[:, j]))*sign.abs()).sum()/sign.abs().sum().clamp(min=1)
    opt, best, since = torch.optim.Adam([V, P, w], lr=3e-3, weight_decay=1e-5), np.inf, 0
    for _ in range(100):
        for b in np.array_split(rng.permutation(np.flatnonzero(folds != 0)), -(-n//64)):
            opt.zero_grad(); loss(x[b] + noise*torch.randn(len(b), d), sign[b]).backward(); opt.step()
        with torch.no_grad(): held, since = loss(x[folds == 0], sign[folds == 0]).item(), since + 1
        if held < best: best, since, kept = held, 0, [(P*w).detach().numpy().copy(), torch.nn.functional.normalize(V, dim=1).detach().numpy().copy()]
        if since >= 5: break
    return lambda Z: Z @ kept[0] @ kept[1].T

def weighted_ranking(X, Y, *_):
    "Bradley–Terry strengths for each prompt, training prompts weighted by 10^(similarity / largest similarity), ties half a win each"
    M = Y.shape[1]
    wins = ((Y[:, :, None] > Y[:, None]) + .5*(Y[:, :, None] == Y[:, None])).reshape(len(Y), -1)
    def predict(Z):
        s = Z @ X.T
        W = (10**(s/s.max(1, keepdims=True)) @ wins).reshape(-1, M, M) * (1 - np.eye(M))
        N, won, p = W + W.transpose(0, 2, 1), W.sum(2), np.ones((len(Z), M))
        for _ in range(50):                        # minorise, maximise
            p = np.maximum(won/(N/(p[:, :, None] + p[:, None])).sum(2), 1e-9)
            p /= p.mean(1, keepdims=True)
        return np.log(p)
    return predict

def perceptrons(X, Y, seed):
    mlp = partial(MLPRegressor, hidden_layer_sizes=(64,), early_stopping=True, random_state=seed)
    return [make_pipeline(StandardScaler(), mlp(alpha=a)).fit(X, (Y - Y.mean())/Y.std()).predict for a in (10, 1, 1e-4)]

def classified(X, Y, c):
    "Per-category best with the label guessed from the vector"
    means, clf = pd.DataFrame(Y).groupby(c).mean(), LogisticRegression(C=10, max_iter=200, tol=1e-3).fit(X, c) if len(set(c)) > 1 else None
    return lambda Z: means.loc[clf.predict(Z)].to_numpy() if clf else np.tile(means.to_numpy(), (len(Z), 1))

METHODS = {
    'ERP, shrunk': lambda X, Y, folds, seed, c, groups: ShrunkProbes().fit(X, Y, c, groups).predict,
    'ERP, shrunk, no categories': lambda X, Y, folds, seed, c, groups: ShrunkProbes().fit(X, Y, None, groups).predict,
    'ERP, α = 1': lambda X, Y, *_: ExpectedRewardProbes().fit(X, Y).predict,
    'ERP, one α by routed reward': lambda X, Y, folds, *_: pick(ridges, X, Y, folds),
    'Zooter': lambda X, Y, folds, seed, *_: Zooter(np.zeros(Y.shape[1]), seed=seed).fit(X, Y).scores,
    'logistic regression per pair': lambda X, Y, folds, *_: pick(logistic, X, Y, folds),
    'matrix factorisation': factorisation,
    'similarity-weighted ranking': weighted_ranking,
    'kNN': lambda X, Y, folds, *_: pick(neighbours, X, Y, folds),
    'k-means': lambda X, Y, folds, *_: pick(clusters, X, Y, folds),
    'MLP': lambda X, Y, folds, seed, *_: pick(partial(perceptrons, seed=seed), X, Y, folds),
    'random forest per pair': lambda X, Y, folds, seed, *_: per_pair(RandomForestClassifier(25, min_samples_leaf=5, random_state=seed), X, Y),
    'CARROT (kNN)': carrot,
    'guessed category': lambda X, Y, folds, seed, c, groups: classified(X, Y, c),
    'best single': lambda X, Y, *_: lambda Z: np.tile(Y.mean(0), (len(Z), 1))}
REFERENCES = ['per-category best (label)', 'random', 'ERP, shrunk, shuffled', 'hindsight oracle', 'split-sample oracle']


def read(name):
    "The data of a table, and whether its groups count; None, with a line that says why, where it is not there"
    if name.startswith('embedded/'): tables, rm, group = Tables.read(EMBEDDED), name.split('/')[1], None
    else:
        e = read_experiment(HERE/'tables'/f'{name}.yaml')
        if not Path(e.data.path).is_dir(): return print(f'{name}: left out, there is no {os.path.relpath(e.data.path)}.', flush=True)
        tables, rm, group = Tables.read(e.data.path), None, e.split.group
    if (n := len(tables.prompts)) > 6000:
        prompts = tables.prompts.iloc[np.sort(np.random.default_rng(0).permutation(n)[:4425])]
        tables = Tables(prompts, tables.rewards[tables.rewards.prompt_id.isin(prompts.prompt_id)], tables.pool)
        print(f'{name}: 4,425 of {n:,} prompts, to keep the time in bounds.', flush=True)
    data = routing_data(tables, embed_prompts(tables.prompts, get_embedder('minilm', dtype='bfloat16'), EmbeddingCache('runs/.cache')), rm, group=group)
    ok = complete_rows(data)
    if not ok.all(): print(f'{name}: {(~ok).sum()} prompts left out, not scored by all models.', flush=True)
    return data.take(ok), bool(group)

def split(name, data, grouped, seed, done):
    "One row per method on one split"
    train, test = data.split(seed).halves()
    X, Y, Z, T = train.X.astype(float), train.Y.to_numpy(), test.X.astype(float), test.Y.to_numpy()
    c, groups = train.categories.astype(str), train.groups if grouped else None
    folds = stratified_folds(np.unique(c, return_inverse=True)[1], 5, np.random.default_rng(seed), groups)
    cost, best, Yall = call_cost(data.pool), Y.mean(0).argmax(), data.Y.to_numpy()
    unit, single = 1. if Yall.min() >= 0 and Yall.max() <= 1 else Yall.std(), T[:, best].mean()
    def row(method, reward, fit_s=np.nan, us=np.nan, P=None):
        ratio = np.nan
        if P is not None and np.isfinite(cost).all():
            f = frontier(P, cost, T)
            ratio = np.min(f.cost[f.reward >= single - 1e-9], initial=np.inf)/cost[best]
        return dict(zip([*KEY, *COLUMNS], [name, seed, method, reward, single, (reward - single)/unit, fit_s, us, ratio if np.isfinite(ratio) else np.nan]))
    ties = 1e-9*unit*(Y.mean(0) - Y.mean(0).min())/max(np.ptp(Y.mean(0)), 1e-12)
    for method, fit in METHODS.items():
        if (name, seed, method) in done or seed >= SLOW.get(method, np.inf): continue
        start = time.process_time(); predict = fit(X, Y, folds, seed, c, groups)
        fitted = time.process_time(); P = predict(Z) + ties; P.argmax(1); end = time.process_time()
        yield row(method, pay(P, T), fitted - start, (end - fitted)/len(Z)*1e6, P)
        if method == 'ERP, shrunk': yield row('ERP, shrunk, shuffled', np.bincount(P.argmax(1), minlength=len(cost)) @ T.mean(0)/len(T))
    if (name, seed, 'random') in done: return
    P = CategoryBest(np.zeros(len(cost))).fit(c, Y).scores(Z, test.categories)
    yield row('per-category best (label)', pay(P, T), P=P)
    yield row('random', T.mean())
    yield row('hindsight oracle', T.max(1).mean(), P=T)
    if np.isfinite(test.R).sum(2).min() >= 2: yield row('split-sample oracle', split_oracle_value(test.R, seed).mean())


def summarise(df):
    "Everything, per table, in print"
    for name, part in df.groupby('table', sort=False):
        g = part.groupby('method', sort=False)
        print(f'\n{name} (gain and worst split in thousandths; times and cost ratio are medians; reached: share of splits that have a ratio)')
        print(pd.DataFrame({'reward': g.reward.mean().round(4), '2.5 %': g.reward.quantile(.025).round(4), '97.5 %': g.reward.quantile(.975).round(4),
                            'gain': (1000*g.gain.mean()).round(1), 'worst': (1000*g.gain.min()).round(1), 'splits': g.size(), 'fit s': g.fit_s.median().round(3),
                            'decide µs': g.decide_us.median().round(1), 'cost ratio': g.cost_ratio.median().round(3), 'reached': (g.cost_ratio.count()/g.size()).round(2)}).to_string())

def ranks(df):
    "Mean rank over tables (by mean gain) and Nemenyi's critical difference at 5 %"
    r = df[df.method.isin(METHODS)].pivot_table('gain', 'method', 'table').round(6).rank(ascending=False)
    k, n = r.shape
    cd = studentized_range.ppf(.95, k, 1e6)/2**.5*(k*(k + 1)/6/n)**.5
    print(f'\nmean rank of {k} methods over {n} tables, some of which share prompts; critical difference {cd:.1f}\n{r.mean(axis=1).sort_values().round(2).to_string()}')
    return r.mean(axis=1).sort_values(), cd

def picture(df, mean_rank, file):
    "A panel per table: mean gain and 95 % of the splits"
    rows, names = [m for m in mean_rank.index if m != 'best single'], list(df.table.unique())
    colour = ['#0072B2' if m == 'ERP, shrunk' else '#56B4E9' if m.startswith('ERP') else '.35' for m in rows]
    fig, axes = plt.subplots(-(-len(names)//3), 3, figsize=(9, .4 + 2.9*-(-len(names)//3)), sharey=True, squeeze=False, layout='constrained')
    for ax in axes.flat[len(names):]: ax.set_visible(False)
    for ax, name in zip(axes.flat, names):
        g = (1000*df[df.table == name].set_index('method').gain).groupby(level=0)
        mean, low, high, y = g.mean(), g.quantile(.025).reindex(rows), g.quantile(.975).reindex(rows), np.arange(len(rows))
        label, oracle = mean['per-category best (label)'], mean.get('split-sample oracle', mean['hindsight oracle'])
        ax.hlines(y, low, high, colors=colour, lw=2); ax.scatter(mean.reindex(rows), y, c=colour, s=18, zorder=3); ax.axvline(0, color='black', ls='--', lw=1)
        ax.scatter(label, len(rows), marker='D', color='#D55E00', s=22)
        left, right = min(low.min(), label, 0), max(high.max(), label, 0); pad = .06*(right - left)
        ax.set(xlim=(left - pad, right + pad), title=name); ax.title.set_fontsize(9); ax.tick_params(labelsize=8); ax.grid(axis='x', color='.9'); ax.set_axisbelow(True)
        if oracle < right + pad: ax.scatter(oracle, len(rows) + 1, marker='*', color='#009E73', s=45)
        else: ax.text(right + .8*pad, len(rows) + 1, f'{oracle:+.0f} ▸', ha='right', va='center', color='#00724F', fontsize=8)
    axes[0, 0].set_yticks(range(len(rows) + 2), [*rows, 'per-category best (label)', 'oracle']); axes[0, 0].set_ylim(len(rows) + 1.7, -.7)
    fig.supxlabel('gain over the best single model (dashed), in thousandths of the reward\'s range or standard deviation', fontsize=9)
    fig.savefig(file, dpi=150); plt.close(fig)

def picture_of_ranks(mean_rank, cd, file):
    "Mean ranks; methods inside the grey band cannot be told from the first"
    fig, ax = plt.subplots(figsize=(7, 3.6), layout='constrained')
    ax.axvspan(mean_rank.iloc[0], mean_rank.iloc[0] + cd, color='.9'); ax.plot(mean_rank, mean_rank.index, 'o', color='#0072B2')
    ax.invert_yaxis(); ax.set_xlabel(f'mean rank over tables (1 = best); grey: within the critical difference of {cd:.1f}'); ax.tick_params(labelsize=9)
    fig.savefig(file, dpi=150); plt.close(fig)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('tables', nargs='*', metavar='TABLE'); parser.add_argument('--splits', type=int, default=20)
    parser.add_argument('--out', type=Path, default=HERE/'results')
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True); file = args.out/'comparison.csv'
    known = [p.stem for p in sorted((HERE/'tables').glob('*.yaml'))] + [f'embedded/{r}' for r in Tables.read(EMBEDDED).reward_models]
    if strange := set(args.tables) - set(known): parser.error(f'no table {sorted(strange)}; there are {known}')
    for name in args.tables or known:
        done = set(pd.read_csv(file)[KEY].itertuples(index=False, name=None)) if file.exists() else set()
        if not (found := read(name)): continue
        for seed in range(args.splits):
            rows = pd.DataFrame(split(name, *found, seed, done), columns=KEY + COLUMNS)
            rows.to_csv(file, mode='a', header=not file.exists(), index=False, float_format='%.6g')
        print(f'{name}: {len(found[0].X):,} prompts, {len(found[0].models)} models, {args.splits} splits.', flush=True)
    if not file.exists(): return
    df = pd.read_csv(file); df = df[df.seed < args.splits]
    summarise(df); mean_rank, cd = ranks(df); picture(df, mean_rank, args.out/'comparison.png'); picture_of_ranks(mean_rank, cd, args.out/'ranks.png')


if __name__ == '__main__': main()
