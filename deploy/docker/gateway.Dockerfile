# The gateway. Written and NEVER BUILT: there was no container engine where it was written; docs/deploy.md, "Images", says what was checked.
# The context is what `npm run pack -- gateway` makes: docker build -f deploy/docker/gateway.Dockerfile dist/pack/gateway
# Tags are exact of Node.js; distroless has no tag a version: pin the digest that you have looked at (--build-arg BASE=...@sha256:...).
ARG BASE=gcr.io/distroless/nodejs20-debian12:nonroot

FROM node:20.20.2-bookworm-slim AS packed
WORKDIR /memseal
COPY package.json manifest.json verify.mjs ./
COPY node_modules/ node_modules/
COPY dist/ dist/
# A folder that is not whole, or was altered, becomes no image.
RUN ["node", "verify.mjs"]

FROM ${BASE}
WORKDIR /memseal
COPY --from=packed /memseal/ ./
ENV NODE_ENV=production
# `nonroot` of distroless.
USER 65532:65532
EXPOSE 7480 7481
# Asked from outside, as docs/operations.md says: /healthz and /readyz.
HEALTHCHECK NONE
ENTRYPOINT ["/nodejs/bin/node", "dist/main.js"]
