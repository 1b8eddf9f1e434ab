/**
 * Keeps a device's clocks up. An H100 falls from 1980 to 345 MHz within a second in which its queue runs empty now and
 * then, and takes more than a second of unbroken work to rise again; short kernels timed one by one see nothing but the
 * low clocks.
 */

/** Submits about so many milliseconds of multiply-adds to the device's queue, without waiting. */
export type Heat = (milliseconds: number) => void;

/** Chains of multiply-adds in {@link multiplyAddShader}. */
export const CHAINS = 16;

/**
 * Independent chains of multiply-adds, one register each; the factor comes from memory, so that the compiler knows
 * nothing of it. A workgroup has 256 invocations.
 */
export function multiplyAddShader(steps: number): string {
  const each = (body: (index: number) => string, separator = ' '): string =>
    Array.from({ length: CHAINS }, (_, index) => body(index)).join(separator);
  return `@group(0) @binding(0) var<storage, read_write> x: array<f32>;
    @compute @workgroup_size(256) fn main(@builtin(global_invocation_id) id: vec3u) {
      let m = x[id.x]; let n = x[id.x + 1u]; ${each((i) => `var a${i} = m + ${i}.0;`)}
      for (var i = 0u; i < ${steps}u; i++) { ${each((i) => `a${i} = a${i} * m + n;`)} }
      x[id.x] = ${each((i) => `a${i}`, ' + ')}; }`;
}

/** Workgroups that fill the device. */
export const FULL_DEVICE = 132 * 16;
const STORAGE = 0x80;

export async function heater(device: GPUDevice): Promise<Heat> {
  const module = device.createShaderModule({ code: multiplyAddShader(4096) });
  const pipeline = device.createComputePipeline({ layout: 'auto', compute: { module } });
  const buffer = device.createBuffer({ size: 1 << 22, usage: STORAGE });
  const group = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [{ binding: 0, resource: { buffer } }],
  });
  const submit = (dispatches: number): void => {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    for (let i = 0; i < dispatches; i++) pass.dispatchWorkgroups(FULL_DEVICE);
    pass.end();
    device.queue.submit([encoder.finish()]);
  };
  const timed = async (dispatches: number): Promise<number> => {
    const begin = performance.now();
    submit(dispatches);
    await device.queue.onSubmittedWorkDone();
    return (performance.now() - begin) / dispatches;
  };
  const cold = await timed(1);
  // A device in software has no clocks to keep up.
  if (cold > 100) return () => {};
  await timed(Math.ceil(1000 / cold));
  const one = await timed(20);
  return (milliseconds) => {
    // The driver may take a submit much longer than 30 ms for a hang.
    for (let left = milliseconds; left > 0; left -= 30) submit(Math.ceil(Math.min(30, left) / one));
  };
}
