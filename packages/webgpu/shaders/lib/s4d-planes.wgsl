// The system of S4D as the scans read it, discretised: [quads, planes, dim] vectors of four states each. States are
// filled up to whole quads by zeros.

const DECAY = 0u; // Abar, the real parts and then the imaginary ones, as all that follow
const INPUT = 2u; // Bbar
const OUTPUT = 4u; // f C
const POWER = 6u; // Abar^chunk
const POWER_SLOPE = 8u; // chunk Abar^(chunk - 1), the derivative of that by Abar
const PLANES = 10u;
