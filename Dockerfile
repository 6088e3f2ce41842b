# One image for every process; docker-compose.yml chooses the command.
#   docker build --build-arg TORCH_ARGS="--index-url <index with the CPU build>" -t ftportal .

FROM node:22-slim AS browser
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM python:3.11-slim AS packages
ARG TORCH_ARGS=""
WORKDIR /app
COPY . .
RUN tools/image_packages.sh /opt/ftportal

FROM python:3.11-slim
RUN useradd --system --uid 10001 --create-home --home-dir /home/ftportal ftportal \
    && install -d -o ftportal -g ftportal -m 0700 /var/lib/ftportal
COPY --from=packages /opt/ftportal /opt/ftportal
COPY --from=packages /app /app
COPY --from=browser /app/node_modules /app/node_modules
ENV PATH=/opt/ftportal/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    FTPORTAL_HOME=/var/lib/ftportal \
    FTPORTAL_HOST=0.0.0.0 \
    HF_HOME=/var/lib/ftportal/cache/huggingface
USER ftportal
WORKDIR /app
VOLUME /var/lib/ftportal
EXPOSE 8000
# Alone, with no DATABASE_URL, it runs everything in one container.
CMD ["ftportal", "up"]
