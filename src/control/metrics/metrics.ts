/**
 * What a monitoring system reads of the server, in the Prometheus text format. Values are taken from the rooms
 * at each scrape; nothing is counted here. The library is loaded for the first: most boxes are never asked.
 */

import type { Registry } from 'prom-client';

/** Values by label value; one under an empty label value has no label. */
export type Values = Readonly<Record<string, number>>;

export interface Metric {
  /** Without the `postern_` in front. */
  readonly name: string;
  readonly help: string;
  /** A counter only grows until the server starts again. */
  readonly type: 'gauge' | 'counter';
  /** Name of the label that the values are apart by; undefined: there is one value. */
  readonly label?: string;
  read(): Values | number | Promise<Values | number>;
}

/** The text of all of them at this moment. */
export type Exposition = () => Promise<{ readonly contentType: string; readonly text: string }>;

export function exposition(metrics: readonly Metric[]): Exposition {
  let made: Promise<Registry> | undefined;
  return async () => {
    made ??= registryOf(metrics);
    const registry = await made;
    return { contentType: registry.contentType, text: await registry.metrics() };
  };
}

async function registryOf(metrics: readonly Metric[]): Promise<Registry> {
  const library = await import('prom-client');
  const registry = new library.Registry();
  for (const metric of metrics) register(library, registry, metric);
  return registry;
}

function register(
  { Counter, Gauge }: typeof import('prom-client'),
  registry: Registry,
  { name, help, type, label, read }: Metric,
): void {
  const labelNames = label === undefined ? [] : [label];
  const common = { name: `postern_${name}`, help, labelNames, registers: [registry] };
  const fill = async (put: (labels: Record<string, string>, value: number) => void) => {
    const values = await read();
    if (typeof values === 'number') put({}, values);
    else for (const [key, value] of Object.entries(values)) put({ [label ?? '']: key }, value);
  };
  if (type === 'gauge')
    new Gauge({
      ...common,
      async collect() {
        this.reset();
        await fill((labels, value) => this.set(labels, value));
      },
    });
  else
    new Counter({
      ...common,
      async collect() {
        this.reset();
        await fill((labels, value) => this.inc(labels, value));
      },
    });
}
