// A gateway that works, and takes scrapes of its metrics without ever answering them.
import { rehearse, wrap } from "./rehearse.js";

type Render = (this: object) => Promise<string>;

await rehearse(async (app, hasBegun) => {
  const { Metrics } = await app.package<{ Metrics: { prototype: { render: Render } } }>("@memseal/telemetry");
  wrap(Metrics, "render", (render) => function () {
    return hasBegun() ? new Promise(() => undefined) : render.apply(this);
  });
});
