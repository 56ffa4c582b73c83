"""Peers themselves: routers from the packages of RouteLLM and LLMRouter, each run by its own code in its own venv, on the splits of comparison.py.

    python benchmarks/peers.py export [--splits 5] [TABLE…]         # with this project: the halves, one npz per table and split, under runs/peers
    PEERS/routellm/bin/python benchmarks/peers.py routellm          # with `pip install routellm==0.2.0`
    PEERS/llmrouter/bin/python benchmarks/peers.py llmrouter        # with `pip install llmrouter-lib==0.4.0`
    python benchmarks/peers.py read                                 # with this project: results/peers.csv, and gains beside those of comparison.csv

A peer gets the vectors (minilm, 384 numbers) of both halves and the rewards of the training half only; it hands back a score per test prompt and model,
or 1 for the model it names. What is there already is not run again. Classes, losses and training loops are the peers', from the installed packages;
hyper-parameters are those of their training script (RouteLLM) and published configurations (LLMRouter). What had to be replaced in them:

RouteLLM. The OpenAI client answers with our vector for the prompt; its key is a dummy. `load_dataset` and `concatenate_datasets` hand over our battles
(all pairs of models on each training prompt, sides at random; matrix factorisation drops ties, as in their script) instead of the arena's. Our models
bear the first names of their list of 64. `text_dim` 384 instead of 1536, device cpu. The lines under `if __name__ == '__main__'` of their training
script, which is not a function, are called here one by one. `compute_elo_mle_with_tie` is wrapped: battles of equal models and outcome are handed to it
as one, with the sum of their weights (the same likelihood; a prompt's vector is held once, not once per battle), and what it returns is kept, since
their router hands on one pair only.
LLMRouter. `get_longformer_embedding` (768 numbers, from a model hub) answers with our vector; `text_dim` 384; `load_model` reads a file once, not once
per prompt; `n_jobs` 1 in kNN. Graph only: `call_api` answers nothing, as its batch routing also calls the models.

`, best listed first`: the label of a prompt is the first model in the file among those tied for best, so the order decides; here the model that is better
on the training half comes first, else the order is the table's. Graph then also gets vectors that lie in 0 … 1 already, since it scales those of the
training prompts and those of new ones by different amounts.
"""
import argparse, contextlib, io, itertools, json, os, random, sys, tempfile, time
for name, value in dict(OMP_NUM_THREADS='1', OPENAI_API_KEY='none', LITELLM_LOCAL_MODEL_COST_MAP='True').items(): os.environ.setdefault(name, value)
from functools import lru_cache, partial
from pathlib import Path
from types import SimpleNamespace as Namespace
import numpy as np, pandas as pd

HERE = Path(__file__).resolve().parent
TABLES = ['korbench', 'alpaca_eval', 'llmrouter', 'embedded/checker']
NAMESAKES = {'LLMRouter, SVM': 'SVM, best model', 'RouteLLM, matrix factorisation': 'matrix factorisation', 'RouteLLM, similarity-weighted ranking': 'similarity-weighted ranking',
    'LLMRouter, kNN': 'kNN', 'LLMRouter, MLP': 'MLP', 'LLMRouter, MF': 'matrix factorisation', 'LLMRouter, Elo': 'best single'}

# RouteLLM
def matrix_factorisation(X, Y, Z, seed):
    import torch
    from routellm.routers.matrix_factorization import model, train_matrix_factorization as theirs
    names, (i, j), rng = list(model.MODEL_IDS), np.triu_indices(Y.shape[1], 1), np.random.default_rng(seed)
    data = [dict(model_a=names[a], model_b=names[b], idx=p, winner='model_a' if Y[p, a] > Y[p, b] else 'model_b')
            for p in range(len(Y)) for a, b in rng.permuted(np.column_stack([i, j]), axis=1) if Y[p, a] != Y[p, b]]
    for f in (torch.manual_seed, np.random.seed, random.seed): f(42 + seed)                    # theirs: 42
    random.shuffle(data); cut = int(len(data)*.95)
    loaders = theirs.PairwiseDataset(data[:cut]).get_dataloaders(64), theirs.PairwiseDataset(data[cut:]).get_dataloaders(1024, shuffle=False)
    with tempfile.TemporaryDirectory() as tmp:
        np.save(f'{tmp}/x.npy', X)
        net = theirs.MFModel_Train(128, len(names), len(X), text_dim=X.shape[1], npy_path=f'{tmp}/x.npy')
    theirs.train_loops(net, *loaders, lr=3e-4, weight_decay=1e-5, alpha=.1, num_epochs=100, device='cpu')
    fitted, router = time.process_time(), model.MFModel(128, len(names), X.shape[1], 1, True).eval()
    router.load_state_dict({k.replace('.weight', '.0.weight') if k != 'P.weight' else k: v for k, v in net.state_dict().items() if k != 'Q.weight'})
    with torch.no_grad(): return np.stack([router(range(Y.shape[1]), str(p)).numpy() for p in range(len(Z))]), fitted

def weighted_ranking(X, Y, Z, seed):
    from routellm.routers import routers as theirs
    M, now, elo, rng = Y.shape[1], {}, theirs.compute_elo_mle_with_tie, np.random.default_rng(seed)
    p = np.repeat(np.arange(len(Y)), M*(M - 1)//2); a, b = rng.permuted(np.tile(np.column_stack(np.triu_indices(M, 1)), (len(Y), 1)), axis=1).T
    battles = pd.DataFrame(dict(model_a=a, model_b=b, winner_model_a=1*(Y[p, a] > Y[p, b]), winner_model_b=1*(Y[p, a] < Y[p, b]),
        prompt=[json.dumps([f'training prompt {k}']) for k in p]))
    theirs.load_dataset = lambda *a, **k: Namespace(to_dict=lambda: dict(embeddings=X[p]))
    theirs.concatenate_datasets = lambda _: Namespace(to_pandas=lambda: battles)
    router = theirs.SWRankingRouter(['ours'], ['ours'], strong_model=0, weak_model=1); fitted = time.process_time()
    router.arena_conv_embedding, equal = X, router.arena_df.groupby(['model_a', 'model_b', 'winner'])
    code, short = equal.ngroup().to_numpy(), equal.size().reset_index()
    def grouped(df, sample_weight): now['rating'] = elo(short, sample_weight=np.bincount(code, sample_weight[p])); return now['rating']
    theirs.compute_elo_mle_with_tie = grouped
    def rate(k): router.calculate_strong_win_rate(str(k)); return [now['rating'][router.model2tier[m]] for m in range(M)]
    try: return np.array([rate(k) for k in range(len(Z))]), fitted
    finally: theirs.compute_elo_mle_with_tie = elo

def routellm(X, Y, Z, seed):
    from routellm.routers.routers import OPENAI_CLIENT                                          # imported before the clock starts
    OPENAI_CLIENT.embeddings = Namespace(create=lambda input, model: Namespace(data=[Namespace(embedding=Z[int(input[0])].tolist())]))
    yield 'RouteLLM, matrix factorisation', partial(matrix_factorisation, X, Y, Z, seed)
    yield 'RouteLLM, similarity-weighted ranking', partial(weighted_ranking, X, Y, Z, seed)

# LLMRouter
CONFIGS = {'kNN': ('KNNRouter', 'KNNRouterTrainer', dict(n_neighbors=5, weights='uniform', algorithm='auto', leaf_size=30, p=2, metric='minkowski', n_jobs=1)),
    'SVM': ('SVMRouter', 'SVMRouterTrainer', dict(kernel='rbf', C=1.0, gamma='scale', probability=True)),
    'MLP': ('MLPRouter', 'MLPTrainer', dict(hidden_layer_sizes=[128, 64], activation='relu', lr=.001, epochs=100, batch_size=32, alpha=.0001)),
    'MF': ('MFRouter', 'MFRouterTrainer', dict(latent_dim=128, text_dim=384, lr=.001, epochs=5, noise_alpha=0.)), 'Elo': ('EloRouter', 'EloRouterTrainer', {}),
    'graph': ('GraphRouter', 'GraphTrainer', dict(hidden_dim=64, learning_rate=.001, weight_decay=.0001, train_epoch=100, batch_size=4, train_mask_rate=.3,
        val_split_ratio=.2, random_state=42))}

def llm_router(kind, best_first, X, Y, Z, seed):
    import torch, yaml
    import llmrouter.models as models
    router_class, trainer_class, hparam = CONFIGS[kind]; theirs = sys.modules[getattr(models, router_class).__module__]
    order = np.argsort(-Y.mean(0), kind='stable') if best_first else np.arange(Y.shape[1])
    if best_first and kind == 'graph': low, span = X.min(0), np.ptp(X, axis=0); X, Z = (X - low)/span, (Z - low)/span
    torch.manual_seed(seed); np.random.seed(seed)
    with tempfile.TemporaryDirectory() as tmp:
        file = f'{tmp}/model.{"pt" if kind == "graph" else "pkl"}'; torch.save(torch.tensor(X, dtype=torch.float32), f'{tmp}/x.pt')
        Path(f'{tmp}/train.jsonl').write_text('\n'.join(json.dumps(dict(query=f'training prompt {p:05}', embedding_id=p, model_name=f'model {rank:02}',
            performance=float(Y[p, m]))) for p in range(len(Y)) for rank, m in enumerate(order)))
        Path(f'{tmp}/c.yaml').write_text(yaml.safe_dump(dict(data_path=dict(query_embedding_data=f'{tmp}/x.pt', routing_data_train=f'{tmp}/train.jsonl'),
            model_path=dict(ini_model_path='', save_model_path=file, load_model_path=file), hparam=hparam, api_endpoint='none')))
        router = getattr(models, router_class)(f'{tmp}/c.yaml'); getattr(models, trainer_class)(router, device='cpu').train(); fitted = time.process_time()
        theirs.get_longformer_embedding = lambda text: torch.tensor(Z[int(text)], dtype=torch.float32)
        from llmrouter.utils import load_model
        theirs.load_model, theirs.call_api, queries = lru_cache(load_model), lambda *a, **k: {}, [dict(query=str(k)) for k in range(len(Z))]
        chosen = router.route_batch(queries) if kind == 'graph' else map(router.route_single, queries)
        return np.eye(Y.shape[1])[[order[int(c['model_name'].split()[1])] for c in chosen]], fitted

def llmrouter(X, Y, Z, seed):
    import llmrouter.models
    for kind, best_first in itertools.product(CONFIGS, (False, True)):
        yield f'LLMRouter, {kind}' + ', best listed first'*best_first, partial(llm_router, kind, best_first, X, Y, Z, seed)

def run(peer, folder, tables):
    for file in (f for name in tables for f in sorted(folder.glob(f'{name.replace("/", "_")}-*/halves.npz'))):
        d = np.load(file)
        for method, fit in peer(d['X'], d['Y'], d['Z'], int(d['seed'])):
            if (out := file.parent/f'{method}.npz').exists(): continue
            start = time.process_time()
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()): scores, fitted = fit()
            np.savez(out, scores=scores, fit_s=fitted - start); print(file.parent.name, method, f'{time.process_time() - start:.1f} s', flush=True)

# this project
def halves(name, splits):
    from comparison import read, unit_of
    if not (found := read(name)): return
    for seed in range(splits):
        train, test = found[0].split(seed).halves()
        yield seed, unit_of(found[0]), train.X.astype(float), train.Y.to_numpy(), test.X.astype(float), test.Y.to_numpy()

def export(folder, tables, splits):
    for name in tables:
        for seed, _, X, Y, Z, _ in halves(name, splits):
            (to := folder/f'{name.replace("/", "_")}-{seed}').mkdir(parents=True, exist_ok=True); np.savez(to/'halves.npz', X=X, Y=Y, Z=Z, seed=seed)

def read_back(folder, tables, splits, out):
    from comparison import pay
    ours, rows = pd.read_csv(out/'comparison.csv'), []
    for name in tables:
        for seed, unit, _, Y, _, T in halves(name, splits):
            single = T[:, Y.mean(0).argmax()].mean(); ties = 1e-9*unit*(Y.mean(0) - Y.mean(0).min())/np.ptp(Y.mean(0))
            there = ours.query('table == @name and seed == @seed').best_single
            assert np.allclose(there, single, atol=1e-5), f'{name}, split {seed}: not that of comparison.csv'
            for file in sorted((folder/f'{name.replace("/", "_")}-{seed}').glob('*, *.npz')):
                d = np.load(file); reward = pay(d['scores'] + ties, T)
                rows.append([name, seed, file.stem, reward, single, (reward - single)/unit, float(d['fit_s'])])
    df = pd.DataFrame(rows, columns=['table', 'seed', 'method', 'reward', 'best_single', 'gain', 'fit_s']); df.to_csv(out/'peers.csv', index=False, float_format='%.6g')
    beside = ours[ours.method.isin([*NAMESAKES.values(), 'ERP, shrunk', 'logistic regression per pair'])].merge(df[['table', 'seed']].drop_duplicates())
    def cell(g): return f'{1000*g.mean():.1f} / {1000*g.min():.0f}'
    print('gain in thousandths, mean / worst split, on the splits of peers.csv')
    print(pd.concat([df, beside]).pivot_table('gain', 'method', 'table', cell, sort=False).fillna('').to_string())
    for peer in df.method.unique():
        if not (namesake := NAMESAKES.get(peer.removesuffix(', best listed first'))): continue
        pair = df[df.method == peer].merge(ours[ours.method == namesake], on=['table', 'seed'])
        d = (1000*(pair.gain_x - pair.gain_y)).groupby(pair.table, sort=False).agg(['mean', 'std', 'count'])
        print(f'{peer} less our {namesake}: ' + ', '.join(f'{t} {r["mean"]:+.1f} ± {r["std"]/r["count"]**.5:.1f}' for t, r in d.iterrows()))

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('what', choices=['export', 'routellm', 'llmrouter', 'read']); parser.add_argument('tables', nargs='*')
    parser.add_argument('--splits', type=int, default=5); parser.add_argument('--folder', type=Path, default=HERE.parent/'runs/peers')
    parser.add_argument('--out', type=Path, default=HERE/'results'); args = parser.parse_args()
    if args.what == 'export': export(args.folder, args.tables or TABLES, args.splits)
    elif args.what == 'read': read_back(args.folder, args.tables or TABLES, args.splits, args.out)
    else: run(dict(routellm=routellm, llmrouter=llmrouter)[args.what], args.folder, args.tables or TABLES)
if __name__ == '__main__': main()
