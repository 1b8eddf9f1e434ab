/** Operands of one dispatch, since a browser promises eight storage buffers a shader, and one is for the result. */
export const SLOTS = [0, 1, 2, 3, 4, 5, 6] as const;
export type Slot = (typeof SLOTS)[number];

/** An object with a value for each slot, under `name0` to `name6`. */
export function forEachSlot<K extends string, V>(name: K, value: (slot: Slot) => V): Record<`${K}${Slot}`, V> {
  const values = {} as Record<`${K}${Slot}`, V>;
  for (const slot of SLOTS) values[`${name}${slot}`] = value(slot);
  return values;
}
