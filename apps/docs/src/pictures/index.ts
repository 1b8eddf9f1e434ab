// The pictures of measurements, each taken from files of results with its machine and date.
import { cpu } from './cpu.ts';
import { h100 } from './h100.ts';
import type { Picture } from './picture.ts';
import { training } from './training.ts';
import { versus } from './versus.ts';

export type { Picture } from './picture.ts';

/** Returns all pictures. */
export const pictures = (): readonly Picture[] => [...h100(), ...cpu(), ...training(), ...versus()];
