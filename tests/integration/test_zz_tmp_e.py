from __future__ import annotations
import time
from tests.integration.test_trend_models import platform, AS_OF, SERVICE  # noqa
from ml import features
from ml.trend import dataset as D, train as T
from ml.registry import releases, client
from ml.storage.postgres import connect
import logging
def test_time(platform):
    logging.disable(logging.CRITICAL)
    t0=time.time(); out=[]
    def lap(n):
        nonlocal t0; out.append((n,round(time.time()-t0,2),round(time.process_time(),1))); t0=time.time()
    p=D.load_params(); b=D.bounds(AS_OF,p,platform)
    f=features.training_frame(D.entity_query(b),SERVICE,platform); lap(f"frame {len(f)}")
    f=features.training_frame(D.entity_query(b),SERVICE,platform); lap(f"frame {len(f)}")
    D.labels(b,platform); lap("labels")
    ds=D.build_dataset(AS_OF,p,platform); lap("build")
    releases.find("trend_video","x",platform); lap("find")
    c=client(platform)
    for i in range(3): releases.champion("trend_video",platform); lap("req")
    sp=D.split_in_time(ds.frame,p); m=T.fit(sp,p,ds.required); lap("fit")
    with T._train(ds,p,"f",platform) as cand:
        lap("_train")
        import mlflow
        orig=mlflow.tracking._model_registry.client
        releases.register(cand,platform); lap("register")
    print(out)
