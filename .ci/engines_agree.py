"Do vLLM and the transformers engine give the same expected rewards? 100 prompts, K = 32, graded by the checker of the embedded tasks."
import sys, time
import numpy as np
from erp_nbdev.embedded.tasks import checker
from erp_nbdev.sampling import SamplingSettings, TransformersEngine, VllmEngine, sample
from erp_nbdev.tables import read_table

models = sys.argv[1:] or ['llama-0.15m']
root = 'tests_data/embedded'
prompts = read_table(f'{root}/examination.parquet', 'prompts').groupby('category').head(25).reset_index(drop=True)
settings, text = SamplingSettings(max_tokens=24), dict(zip(prompts.prompt_id, prompts.prompt))
bad = 0
for name in models:
    grades = {}
    for engine in (TransformersEngine, VllmEngine):
        extra = dict(distributed_executor_backend='uni', enforce_eager=True) if engine is VllmEngine else {}
        start, model = time.time(), engine(f'{root}/models/{name}', name, **extra)
        df = sample(prompts, model, settings=settings, progress=False)
        df['grade'] = [checker(text[i], r) for i, r in zip(df.prompt_id, df.response)]
        grades[engine.__name__] = df.groupby('prompt_id', sort=False).grade
        print(f'{name} {engine.__name__}: mean grade {df.grade.mean():.4f}, {time.time() - start:.0f} s', flush=True)
    a, b = grades.values()
    error = np.sqrt((a.var()/32 + b.var()/32).sum())/len(prompts)      # of the difference of the two means, from sampling alone
    z = (a.mean().mean() - b.mean().mean())/error
    print(f'{name}: difference {a.mean().mean() - b.mean().mean():+.4f}, standard error {error:.4f}, z = {z:+.2f}')
    bad |= abs(z) > 3
sys.exit(bad)
