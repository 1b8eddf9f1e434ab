// Imports every entry point, for a compiler that knows no host, neither DOM nor Node.
import * as checkpoint from '@mamba/checkpoint';
import * as conformance from '@mamba/conformance';
import type * as core from '@mamba/core';
import * as driver from '@mamba/core/driver';
import * as toolkit from '@mamba/core/toolkit';
import { cpu } from '@mamba/cpu';
import relaxed from '@mamba/cpu/relaxed.wasm';
import simd from '@mamba/cpu/simd.wasm';
import * as lm from '@mamba/lm';
import * as hub from '@mamba/lm/hub';
import * as server from '@mamba/lm/server';
import * as worker from '@mamba/lm/worker';
import * as mixers from '@mamba/mixers';
import * as golden from '@mamba/mixers/golden';
import { reference } from '@mamba/reference';
import * as train from '@mamba/train';
import * as trainNode from '@mamba/train/node';
import { webgpu } from '@mamba/webgpu';

export const providers: readonly core.BackendProvider[] = [
  cpu({ wasm: simd, worker: '/worker.js' }),
  cpu({ wasm: relaxed }),
  webgpu({ powerPreference: 'low-power' }),
  reference(),
];
// @ts-expect-error An option that does not exist is told of all the same.
cpu({ nonsense: true });

export { checkpoint, conformance, driver, golden, hub, lm, mixers, server, toolkit, train, trainNode, worker };
