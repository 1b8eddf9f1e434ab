// Keeps a device's clocks up. An H100 falls from 1980 to 345 MHz within a second in which its queue runs empty now and then, and takes
// more than a second of unbroken work to rise again; short kernels timed one by one see nothing else.

/** A function that submits about so many milliseconds of multiply-adds to the device's queue, without waiting. */
export async function heater(device) {
  const chains = Array.from({ length: 16 }, (_, i) => i);
  const each = (body) => chains.map(body).join(' ');
  const module = device.createShaderModule({
    code: `@group(0) @binding(0) var<storage, read_write> x: array<f32>;
      @compute @workgroup_size(256) fn main(@builtin(global_invocation_id) id: vec3u) {
        let m = x[id.x]; let n = x[id.x + 1u]; ${each((i) => `var a${i} = m + ${i}.0;`)}
        for (var i = 0u; i < 4096u; i++) { ${each((i) => `a${i} = a${i} * m + n;`)} }
        x[id.x] = ${each((i) => `a${i}`).replaceAll(' ', ' + ')}; }`,
  });
  const pipeline = device.createComputePipeline({ layout: 'auto', compute: { module } });
  const buffer = device.createBuffer({ size: 1 << 22, usage: 0x80 });
  const group = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [{ binding: 0, resource: { buffer } }],
  });
  const heat = (dispatches) => {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    for (let i = 0; i < dispatches; i++) pass.dispatchWorkgroups(2112);
    pass.end();
    device.queue.submit([encoder.finish()]);
  };
  // How long one takes, once the clocks have had time to rise: a device in software is left alone.
  const timed = async (dispatches) => {
    const begin = performance.now();
    heat(dispatches);
    await device.queue.onSubmittedWorkDone();
    return (performance.now() - begin) / dispatches;
  };
  const cold = await timed(1);
  if (cold > 100) return () => {};
  await timed(Math.ceil(1000 / cold));
  const one = await timed(20);
  // Submits of some 30 ms each: long ones may be taken for a hang.
  return (milliseconds) => {
    for (let left = milliseconds; left > 0; left -= 30) heat(Math.ceil(Math.min(30, left) / one));
  };
}
