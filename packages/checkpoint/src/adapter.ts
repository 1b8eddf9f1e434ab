import { MambaError } from '@mamba/core';
import { show } from './errors.ts';
import { readOptionalObject } from './io/optional.ts';
import type { CheckpointStore } from './io/store.ts';
import { leftOutWarning, type WarningListener } from './warnings.ts';

const FILE = 'adapter_config.json';

/**
 * The error for a folder that holds an adapter and no model. An adapter is a set of weights that are added to those of
 * another model.
 */
export async function adapterError(store: CheckpointStore): Promise<MambaError | undefined> {
  const config = await readOptionalObject(store, FILE, () => {});
  return config && unmerged(store, config);
}

/**
 * Warns of an adapter beside a model, which loads without it. Only stores that can list their files are looked at, so
 * that no request is made.
 */
export async function warnOfAdapter(store: CheckpointStore, onWarning: WarningListener): Promise<void> {
  if (!((await store.list?.()) ?? []).includes(FILE)) return;
  const config = (await readOptionalObject(store, FILE, () => {})) ?? {};
  onWarning(leftOutWarning(`${store.name}: ${FILE}`, unmerged(store, config)));
}

function unmerged({ name }: CheckpointStore, config: Readonly<Record<string, unknown>>): MambaError {
  const { peft_type: type, base_model_name_or_path: base } = config;
  const kind = typeof type === 'string' ? `an adapter (${type})` : 'an adapter';
  const of = typeof base === 'string' && base !== '' ? `of ${show(base)}` : 'of a model that it does not name';
  return new MambaError('unsupported', `${name}: ${FILE} cannot be loaded as a model`, {
    origin: `${name}: ${FILE}`,
    given: `${kind} ${of}`,
    expected: 'a whole model',
    remedy: 'Merge it into its model first, merge_and_unload() of peft does, and save that.',
  });
}
