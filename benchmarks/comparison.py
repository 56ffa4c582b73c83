"""Routing methods on equal terms: the same splits, vectors and rewards for all, and nothing chosen on the test half.

    python benchmarks/comparison.py [--splits 20] [--out benchmarks/results] [TABLE…]

TABLE: a name in `benchmarks/tables/` (these lie beside the project, in `../shared/data`; one that is not there is left out, and said so), or
`embedded/REWARD_MODEL` for the table that comes with the package, 32 samples per prompt; all unless given. Vectors: minilm, kept in `runs/.cache`.
Half of each category is for training, half for testing; groups stay whole where the experiment file names them. Prompts without a reward from every
model are left out; more than 6,000 are cut to the first 4,425 of a seeded permutation. `comparison.csv` grows split by split; delete it to start anew.
`gain`: reward less that of the model that was best on the training half, in units of the reward's range if that is 0 … 1, else of its standard
deviation. `fit_s`, `decide_us` (per prompt, embedding not counted): processor time, one thread. `cost_ratio`, where all costs are known: least cost
on the method's exact λ-frontier at which it earns what the best single model does, over that model's cost; read off the test half, empty if never.
Ties go to the model that is better on the training half. What is chosen is chosen on five folds of the training half, by routed reward.

Namesakes. Logistic regression per pair: RouteLLM's problem, for all pairs, ties dropped, mean probability of winning. Matrix factorisation: RouteLLM's
network in 64 dimensions, stopped early; theirs has 128, OpenAI's vectors and 64 models of an arena. Similarity-weighted ranking: RouteLLM's
weights, a Bradley–Terry fit per prompt, of our models instead of ten tiers of theirs. k-means: the Avengers' ranking per cluster. Random forest per
pair: RoRF's, 25 trees. SVM: LLMRouter's, a classifier of which model is best; of those that tie, the one that is better on the training half.
CARROT: its kNN regressors, k per model by squared error; with one cost per model its cost regressor is a constant. Zooter: as in the chapter on
routing. Shrunk ERP and `guessed category` (best model of the category that a logistic regression names) alone see the categories of the training
prompts; `ERP, shrunk, no categories` is told none and finds clusters by itself.
"""
import argparse, os, time
for name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS'): os.environ.setdefault(name, '1')
from functools import partial
from itertools import combinations
from pathlib import Path
import matplotlib.pyplot as plt, numpy as np, pandas as pd
from scipy.stats import studentized_range
from sklearn import base, cluster, ensemble, linear_model, neural_network, pipeline, preprocessing, svm
from erp_nbdev.embedding import embed_prompts, get_embedder
from erp_nbdev.settings import read_experiment
from erp_nbdev.probes import ExpectedRewardProbes, factorise, solve
from erp_nbdev.routing import call_cost, frontier
from erp_nbdev.evaluation import CategoryBest, complete_rows, split_oracle_value
from erp_nbdev.zooter import Zooter
from erp_nbdev.shrinkage import ShrunkProbes, make_folds
from erp_nbdev.tables import Tables, routing_data
from erp_nbdev.vectors import EmbeddingCache

EMBEDDED = (HERE := Path(__file__).resolve().parent).parent/'tests_data/embedded'
SLOW = {'random forest per pair': 5, 'MLP': 5}    # on how many splits, at most
PENALTIES = 3000., 1000., 300., 100., 30., 10., 3., 1.
COLUMNS = ['table', 'seed', 'method', 'reward', 'best_single', 'gain', 'fit_s', 'decide_us', 'cost_ratio']

def pay(P, Y): return Y[np.arange(len(Y)), P.argmax(1)].mean()
def pick(candidates, X, Y, folds):
    "Of the routers that `candidates(X, Y)` lists, the one that earns most out of fold"
    earned = sum(np.array([pay(f(X[folds == k]), Y[folds == k])*(folds == k).sum() for f in candidates(X[folds != k], Y[folds != k])]) for k in range(5))
    return candidates(X, Y)[earned.argmax()]
def ridges(X, Y):
    f = factorise(X)
    return [lambda Z, coef=coef, b=b: Z @ coef.T + b for coef, b in (solve(f, Y, a) for a in PENALTIES)]
def neighbours(X, Y):
    def predict(Z, k): return Y[np.argpartition(-(Z @ X.T), k - 1, axis=1)[:, :k]].mean(1)
    return [partial(predict, k=min(k, len(X))) for k in (80, 40, 20, 10, 5)]
def clusters(X, Y):
    fits = [cluster.KMeans(k, n_init=2, random_state=0).fit(X) for k in (8, 16, 32, 64) if k < len(X)/2]
    return [lambda Z, km=km, means=pd.DataFrame(Y).groupby(km.labels_).mean().to_numpy(): means[km.predict(Z)] for km in fits]
def carrot(X, Y, folds, *_):
    best = sum(np.array([((f(X[folds == k]) - Y[folds == k])**2).sum(0) for f in neighbours(X[folds != k], Y[folds != k])]) for k in range(5)).argmin(0)
    fits = neighbours(X, Y)
    return lambda Z: np.stack([f(Z) for f in fits])[best, :, np.arange(len(best))].T

def per_pair(classifier, X, Y):
    M, fits = Y.shape[1], {}
    for i, j in combinations(range(M), 2):
        d, y = Y[:, i] != Y[:, j], Y[:, i] > Y[:, j]
        fits[i, j] = base.clone(classifier).fit(X[d], y[d]) if 0 < y[d].sum() < d.sum() else y[d].mean() if d.any() else .5
    def predict(Z):
        P = {ij: np.full(len(Z), f) if np.isscalar(f) else f.predict_proba(Z)[:, 1] for ij, f in fits.items()}
        return np.column_stack([sum(p if m == i else 1 - p for (i, j), p in P.items() if m in (i, j)) for m in range(M)])/(M - 1)
    return predict
def logistic(X, Y): return [per_pair(linear_model.LogisticRegression(C=C, tol=1e-3), X, Y) for C in (.1, 1, 10)]

def factorisation(X, Y, folds, seed, *_, dims=64, noise=.05):
    "score = w · (v_m ⊙ P x), v_m of unit length, logistic loss over the untied pairs of models"
    import torch; torch.manual_seed(seed); torch.set_num_threads(1)
    rng, (n, M), d, unit = np.random.default_rng(seed), Y.shape, X.shape[1], partial(torch.nn.functional.normalize, dim=1)
    (i, j), x = np.triu_indices(M, 1), torch.tensor(X, dtype=torch.float32)
    sign = torch.tensor(np.sign(Y[:, i] - Y[:, j]), dtype=torch.float32)
    V, P, w = (torch.nn.Parameter(torch.randn(s)*scale) for s, scale in (((M, dims), 1), ((d, dims), d**-.5), ((dims,), dims**-.5)))
    def loss(x, sign):
        s = x @ P*w @ unit(V).T
        return (torch.nn.functional.softplus(-sign*(s[:, i] - s[:, j]))*sign.abs()).sum()/sign.abs().sum().clamp(min=1)
    opt, best, since = torch.optim.Adam([V, P, w], lr=3e-3, weight_decay=1e-5), np.inf, 0
    for _ in range(100):
        for b in np.array_split(rng.permutation(np.flatnonzero(folds != 0)), -(-n//64)):
            opt.zero_grad(); loss(x[b] + noise*torch.randn(len(b), d), sign[b]).backward(); opt.step()
        with torch.no_grad(): held, since = loss(x[folds == 0], sign[folds == 0]).item(), since + 1
        if held < best: best, since, W = held, 0, (P*w @ unit(V).T).detach().numpy()
        if since >= 5: break
    return lambda Z: Z @ W

def weighted_ranking(X, Y, *_):
    "Bradley–Terry strengths for each prompt, training prompts weighted by 10^(similarity / largest similarity), ties half a win each"
    M, wins = Y.shape[1], ((Y[:, :, None] > Y[:, None]) + .5*(Y[:, :, None] == Y[:, None])).reshape(len(Y), -1)
    def predict(Z):
        W = (10**((s := Z @ X.T)/s.max(1, keepdims=True)) @ wins).reshape(-1, M, M) * (1 - np.eye(M))
        N, won, p = W + W.transpose(0, 2, 1), W.sum(2), np.ones((len(Z), M))
        for _ in range(50): p = np.maximum(won/(N/(p[:, :, None] + p[:, None])).sum(2), 1e-9); p /= p.mean(1, keepdims=True)    # minorise, maximise
        return np.log(p)
    return predict
def perceptrons(seed, X, Y):
    mlp = partial(neural_network.MLPRegressor, hidden_layer_sizes=(64,), early_stopping=True, random_state=seed)
    return [pipeline.make_pipeline(preprocessing.StandardScaler(), mlp(alpha=a)).fit(X, (Y - Y.mean())/Y.std()).predict for a in (10, 1, 1e-4)]

def guessed(X, Y, folds, seed, c, *_):
    means, clf = pd.DataFrame(Y).groupby(c).mean(), linear_model.LogisticRegression(C=10, max_iter=200, tol=1e-3).fit(X, c) if len(set(c)) > 1 else None
    return lambda Z: means.loc[clf.predict(Z)].to_numpy() if clf else np.tile(means.to_numpy(), (len(Z), 1))

def best_model(X, Y, *_):
    first = Y.mean(0).argsort()[::-1]; y = first[Y[:, first].argmax(1)]
    if len(set(y)) == 1: return lambda Z: np.tile(Y.mean(0), (len(Z), 1))
    clf = svm.SVC().fit(X, y)
    return lambda Z: np.eye(Y.shape[1])[clf.predict(Z)]

METHODS = {                                       # (X, Y, folds, seed, categories, groups) of the training half → vectors → scores
    'ERP, shrunk': lambda X, Y, folds, seed, c, groups: ShrunkProbes().fit(X, Y, c, groups).predict,
    'ERP, shrunk, no categories': lambda X, Y, folds, seed, c, groups: ShrunkProbes().fit(X, Y, None, groups).predict,
    'ERP, α = 1': lambda X, Y, *_: ExpectedRewardProbes().fit(X, Y).predict, 'ERP, one α by routed reward': lambda X, Y, folds, *_: pick(ridges, X, Y, folds),
    'Zooter': lambda X, Y, folds, seed, *_: Zooter(np.zeros(Y.shape[1]), seed=seed).fit(X, Y).scores,
    'logistic regression per pair': lambda X, Y, folds, *_: pick(logistic, X, Y, folds),
    'matrix factorisation': factorisation, 'similarity-weighted ranking': weighted_ranking,
    'kNN': lambda X, Y, folds, *_: pick(neighbours, X, Y, folds), 'k-means': lambda X, Y, folds, *_: pick(clusters, X, Y, folds),
    'MLP': lambda X, Y, folds, seed, *_: pick(partial(perceptrons, seed), X, Y, folds),
    'random forest per pair': lambda X, Y, folds, seed, *_: per_pair(ensemble.RandomForestClassifier(25, min_samples_leaf=5, random_state=seed), X, Y),
    'SVM, best model': best_model, 'CARROT (kNN)': carrot, 'guessed category': guessed, 'best single': lambda X, Y, *_: lambda Z: np.tile(Y.mean(0), (len(Z), 1))}

def read(name):
    "The data of a table, and whether its groups count; None, and a line that says so, where it is not there"
    rm, group, folder = None, None, EMBEDDED
    if name.startswith('embedded/'): rm = name.split('/')[1]
    else: e = read_experiment(HERE/'tables'/f'{name}.yaml'); folder, group = Path(e.data.path), e.split.group
    if not folder.is_dir(): return print(f'{name}: left out, there is no {os.path.relpath(folder)}.')
    tables = Tables.read(folder)
    if (n := len(tables.prompts)) > 6000:
        prompts = tables.prompts.iloc[np.sort(np.random.default_rng(0).permutation(n)[:4425])]
        tables = Tables(prompts, tables.rewards[tables.rewards.prompt_id.isin(prompts.prompt_id)], tables.pool)
        print(f'{name}: 4,425 of {n:,} prompts, to keep the time in bounds.')
    data = routing_data(tables, embed_prompts(tables.prompts, get_embedder('minilm', dtype='bfloat16'), EmbeddingCache('runs/.cache')), rm, group=group)
    if not (ok := complete_rows(data)).all(): print(f'{name}: {(~ok).sum()} prompts left out, not scored by all models.')
    return data.take(ok), bool(group)

def unit_of(data):
    "What gains are divided by: 1 for rewards in 0 … 1, else their standard deviation"
    Y = data.Y.to_numpy()
    return 1. if Y.min() >= 0 and Y.max() <= 1 else Y.std()

def one_split(name, data, grouped, seed, done):
    "A row per method that is not done"
    train, test = data.split(seed).halves()
    X, Y, Z, T = train.X.astype(float), train.Y.to_numpy(), test.X.astype(float), test.Y.to_numpy()
    c, groups, cost, best = train.categories.astype(str), train.groups if grouped else None, call_cost(data.pool), Y.mean(0).argmax()
    folds = make_folds(np.unique(c, return_inverse=True)[1], groups, 5, seed)
    unit, single = unit_of(data), T[:, best].mean()
    def row(method, reward, P=None, fit_s=np.nan, us=np.nan):
        f = None if P is None or not np.isfinite(cost).all() else frontier(P, cost, T)
        ratio = np.nan if f is None else min(f.cost[f.reward >= single - 1e-9]/cost[best], default=np.nan)
        return dict(zip(COLUMNS, [name, seed, method, reward, single, (reward - single)/unit, fit_s, us, ratio]))
    ties = 1e-9*unit*(Y.mean(0) - Y.mean(0).min())/max(np.ptp(Y.mean(0)), 1e-12)
    for method, fit in METHODS.items():
        if (name, seed, method) in done or seed >= SLOW.get(method, np.inf): continue
        start = time.process_time(); predict = fit(X, Y, folds, seed, c, groups)
        fitted = time.process_time(); P = predict(Z) + ties; end = time.process_time()
        yield row(method, pay(P, T), P, fitted - start, (end - fitted)/len(Z)*1e6)
        if method == 'ERP, shrunk': yield row('ERP, shrunk, shuffled', np.bincount(P.argmax(1), minlength=len(cost)) @ T.mean(0)/len(T))
    if (name, seed, 'random') in done: return
    P = CategoryBest(np.zeros(len(cost))).fit(c, Y).scores(Z, test.categories)
    yield from (row('per-category best (label)', pay(P, T), P), row('random', T.mean()), row('hindsight oracle', T.max(1).mean(), T))
    if np.isfinite(test.R).sum(2).min() >= 2: yield row('split-sample oracle', split_oracle_value(test.R, seed).mean())

def summarise(df, out):
    "In print and as pictures: gains per table, with 95 % of the splits; mean ranks by mean gain, with Nemenyi's critical difference at 5 %"
    for name, part in df.groupby('table', sort=False):
        g = part.groupby('method', sort=False)
        print(f'\n{name}: gain in thousandths; times and cost ratio are medians, reached is the share of splits that have one')
        print(pd.DataFrame({'reward': g.reward.mean(), '2.5 %': g.reward.quantile(.025), '97.5 %': g.reward.quantile(.975), 'gain': 1000*g.gain.mean(),
            'worst': 1000*g.gain.min(), 'splits': g.size(), 'fit s': g.fit_s.median(), 'decide µs': g.decide_us.median(), 'cost ratio': g.cost_ratio.median(),
            'reached': g.cost_ratio.count()/g.size()}).round({'gain': 1, 'worst': 1, 'decide µs': 1}).round(4).to_string())
    places = df[df.method.isin(METHODS)].pivot_table('gain', 'method', 'table').round(6).rank(ascending=False)
    rank, (k, n) = places.mean(axis=1).sort_values(), places.shape
    cd = studentized_range.ppf(.95, k, 1e6)/2**.5*(k*(k + 1)/6/n)**.5
    print(f'\nmean rank of {k} methods on {n} tables, some of which share their prompts; critical difference {cd:.1f}\n{rank.round(2).to_string()}')
    rows, names = [m for m in rank.index if m != 'best single'], list(df.table.unique())
    colour = ['#0072B2' if m == 'ERP, shrunk' else '#56B4E9' if m.startswith('ERP') else '.35' for m in rows]
    fig, axes = plt.subplots(-(-len(names)//3), 3, figsize=(9, .4 + 3*-(-len(names)//3)), sharey=True, squeeze=False, layout='constrained')
    for ax in axes.flat[len(names):]: ax.set_visible(False)
    for ax, name in zip(axes.flat, names):
        g = 1000*df[df.table == name].groupby('method').gain.quantile([.025, .975]).unstack().join(df[df.table == name].groupby('method').gain.mean())
        (low, high, mean), (label, oracle) = g.reindex(rows).to_numpy().T, g.gain[['per-category best (label)', max(m for m in g.index if m.endswith('oracle'))]]
        ax.hlines(rows, low, high, colors=colour, lw=2); ax.scatter(mean, rows, c=colour, s=18, zorder=3)
        ax.axvline(0, color='black', ls='--', lw=1); ax.scatter(label, 'per-category best (label)', marker='D', color='#D55E00', s=22)
        left, right = min(np.nanmin(low), label, 0), max(np.nanmax(high), label, 0); pad = .06*(right - left); ax.set_xlim(left - pad, right + pad)
        ax.scatter(min(oracle, right), 'oracle', marker='>' if oracle > right else 'D', color='#00724F', s=28)
        ax.annotate(f'{oracle:.0f}', (min(oracle, right), 'oracle'), xytext=(-6, 0), textcoords='offset points', ha='right', va='center', color='#00724F', fontsize=8)
        ax.set_title(name, fontsize=9); ax.tick_params(labelsize=8); ax.grid(axis='x', color='.9'); ax.set_axisbelow(True)
    axes[0, 0].invert_yaxis(); fig.supxlabel("gain over the best single model (dashed), thousandths of the reward's range or standard deviation", fontsize=9)
    fig.savefig(out/'comparison.png', dpi=150)
    fig, ax = plt.subplots(figsize=(7, 3.6), layout='constrained'); ax.plot(rank, rank.index, 'o', color='#0072B2')
    ax.axvspan(rank.iloc[0], rank.iloc[0] + cd, color='.9'); ax.invert_yaxis()
    ax.set_xlabel(f'mean rank over tables; grey: critical difference of {cd:.1f}'); fig.savefig(out/'ranks.png', dpi=150)

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, kw in dict(tables=dict(nargs='*'), __splits=dict(type=int, default=20), __out=dict(type=Path, default=HERE/'results')).items():
        parser.add_argument(name.replace('_', '-'), **kw)
    args = parser.parse_args(); args.out.mkdir(parents=True, exist_ok=True); file = args.out/'comparison.csv'; plt.switch_backend('agg')
    for name in args.tables or [p.stem for p in sorted((HERE/'tables').glob('*.yaml'))] + [f'embedded/{r}' for r in Tables.read(EMBEDDED).reward_models]:
        if not (found := read(name)): continue
        done = set(pd.read_csv(file)[COLUMNS[:3]].itertuples(index=False, name=None)) if file.exists() else set()
        for seed in range(args.splits):
            rows = pd.DataFrame(one_split(name, *found, seed, done), columns=COLUMNS)
            rows.to_csv(file, mode='a', header=not file.exists(), index=False, float_format='%.6g')
        print(f'{name}: {len(found[0].X):,} prompts, {len(found[0].models)} models, {args.splits} splits; at most {SLOW}.', flush=True)
    if file.exists(): summarise(pd.read_csv(file).query('seed < @args.splits'), args.out)
if __name__ == '__main__': main()
