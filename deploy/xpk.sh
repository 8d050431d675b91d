#!/usr/bin/env bash
# Train on a TPU slice of a GKE cluster by xpk, in place of `rosella tpu run` (docs/pod.md), from a clone of Rosella:
#
#     PROJECT=my-project CLUSTER=my-cluster IMAGE=us-docker.pkg.dev/my-project/rosella/rosella BUCKET=gs://my-bucket deploy/xpk.sh
#
# IMAGE holds Rosella with the extras `tpu` and `cloud`. A restarted workload goes on from its newest checkpoint; a finished one
# leaves the cluster, which costs money until `xpk cluster delete`. xpk is no dependency of Rosella, and this file was never run
# with it: its shell and its options are checked by tests/project/test_deploy.py.
set -euo pipefail
: "${PROJECT:?}" "${CLUSTER:?}" "${IMAGE:?}" "${BUCKET:?}"
ZONE=${ZONE:-us-central2-b}
TPU=${TPU:-v4-32}

xpk cluster create --project "$PROJECT" --zone "$ZONE" --cluster "$CLUSTER" --tpu-type="$TPU" --num-slices=1 --spot

# The bucket appears as /shared on every host; with hierarchical namespace, a folder there is renamed in one step.
xpk storage attach rosella --project "$PROJECT" --zone "$ZONE" --cluster "$CLUSTER" --type gcsfuse --bucket "${BUCKET#gs://}" \
  --mount-point /shared --readonly false --auto-mount true --size 1000

xpk workload create --project "$PROJECT" --zone "$ZONE" --cluster "$CLUSTER" --tpu-type="$TPU" --num-slices=1 \
  --workload rosella --docker-image "$IMAGE" --max-restarts 50 \
  --command "rosella train recipes/dia-v4-32.yaml data.export=$BUCKET/corpus --run /shared/runs/dia"
