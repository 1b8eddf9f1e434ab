import { versions } from './generated/versions.ts';

/** The version of this package. */
export const version = versions['@mamba/bench']!;
