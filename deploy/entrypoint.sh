#!/usr/bin/env bash
# The roles of a container: web | worker QUEUE[,QUEUE] [CONCURRENCY] | beat | migrate | any manage.py command.
set -euo pipefail
cd "$(dirname "$0")/.."

role="${1:-web}"
case "$role" in
  web)
    python manage.py collectstatic --noinput -v0
    exec python -m gunicorn backend.wsgi --bind "0.0.0.0:${PORT:-8000}" \
      --workers "${WEB_WORKERS:-3}" --threads "${WEB_THREADS:-4}" --timeout 120 ;;
  worker)
    exec python -m celery -A workers.app worker -l INFO --without-gossip --without-mingle \
      -Q "${2:?name the queues: gpu, cpu, export, train, interactive}" -c "${3:-1}" ;;
  beat)
    exec python -m celery -A workers.app beat -l INFO -s "$MAQUETTE_HOME/beat-schedule" --pidfile= ;;
  migrate)
    exec python manage.py migrate --noinput ;;
  *)
    exec python manage.py "$@" ;;
esac
