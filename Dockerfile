# The audit alone, without a model stack, as a user that owns nothing:
#
#     docker build -t collapse-audit .
#     docker run --rm --network none --read-only --tmpfs /tmp -v "$PWD:/work:ro" collapse-audit before.jsonl after.jsonl
#
# A report needs a folder that user 10001 may write to: -v "$PWD/out:/out" … --report /out
FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY audit audit
COPY lineages lineages
COPY probes probes
COPY reports reports
RUN python -m venv /opt/collapse-audit \
    && /opt/collapse-audit/bin/pip install --no-cache-dir --constraint constraints.txt .

FROM python:3.12-slim
COPY --from=build /opt/collapse-audit /opt/collapse-audit
ENV PATH="/opt/collapse-audit/bin:$PATH" \
    MPLCONFIGDIR=/tmp \
    PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /work
ENTRYPOINT ["collapse-audit"]
CMD ["--help"]
