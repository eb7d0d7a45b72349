# The reranker on an NVIDIA GPU. Written and NEVER BUILT: there was neither a container engine nor such a GPU where it was written; docs/deploy.md,
# "Images", says what was checked. The context is what `npm run pack -- reranker` makes:
# docker build -f deploy/docker/reranker-cuda.Dockerfile dist/pack/reranker
ARG BASE=nvidia/cuda:12.6.3-cudnn-runtime-ubuntu22.04

FROM node:20.20.2-bookworm-slim AS packed
WORKDIR /memseal
COPY package.json manifest.json verify.mjs ./
COPY node_modules/ node_modules/
COPY dist/ dist/
# A folder that is not whole, or was altered, becomes no image.
RUN ["node", "verify.mjs"]
# onnxruntime's package leaves out what runs on a GPU; this is its own installer, of the same version, from NuGet.
RUN ["node", "node_modules/onnxruntime-node/script/install.js", "--onnxruntime-node-install=cuda12"]

FROM ${BASE}
WORKDIR /memseal
COPY --from=packed /usr/local/bin/node /usr/local/bin/node
COPY --from=packed /memseal/ ./
# No image where a provider is missing, was built for another CUDA, or a library of CUDA or cuDNN is not there.
RUN ["node", "dist/check-cuda.js", "12", "/usr/local/cuda/lib64", "/usr/lib/x86_64-linux-gnu"]
# With `cuda` it does not start where the GPU cannot be used: it never falls back to a CPU unseen.
ENV NODE_ENV=production MEMSEAL_DEVICE=cuda
# As in the other images.
USER 65532:65532
EXPOSE 7483
# Asked from outside, as docs/operations.md says: grpc.health.v1.
HEALTHCHECK NONE
ENTRYPOINT ["/usr/local/bin/node", "dist/main.js"]
# The embedder runs on a CPU, and apart.
CMD ["--serve", "rerank"]
