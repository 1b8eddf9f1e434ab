import { versions } from './generated/versions.ts';

/** Of this package. */
export const version = versions['@mamba/bench']!;
