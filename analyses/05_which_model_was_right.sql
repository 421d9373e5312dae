/*
title: Which model was right?
answer: "{model} separated best on its test videos: AUC {test_auc:.3f}, against {best_baseline_auc:.3f} of its best plain rival ({best_baseline})."
chart: {kind: bar, x: test_auc, y: model}
*/
select
    model_name || ' ' || model_version as model,
    status,
    test_auc,
    best_baseline,
    best_baseline_auc,
    test_brier,
    predictions,
    outcomes_known,
    realised_accuracy,
    realised_auc
from mart_model_performance
where test_auc is not null and best_baseline_auc is not null
order by test_auc desc, registered_at desc
limit 20
