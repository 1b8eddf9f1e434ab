/** Complex numbers. */
export interface Complex {
  readonly re: number;
  readonly im: number;
}

export function complex(re: number, im = 0): Complex {
  return { re, im };
}

export function add(a: Complex, b: Complex): Complex {
  return { re: a.re + b.re, im: a.im + b.im };
}

export function multiply(a: Complex, b: Complex): Complex {
  return { re: a.re * b.re - a.im * b.im, im: a.re * b.im + a.im * b.re };
}

export function scaled({ re, im }: Complex, factor: number): Complex {
  return { re: re * factor, im: im * factor };
}

export function conjugate({ re, im }: Complex): Complex {
  return { re, im: -im };
}

export function divide(a: Complex, b: Complex): Complex {
  return scaled(multiply(a, conjugate(b)), 1 / (b.re * b.re + b.im * b.im));
}

export function exp({ re, im }: Complex): Complex {
  return scaled({ re: Math.cos(im), im: Math.sin(im) }, Math.exp(re));
}

export function magnitude({ re, im }: Complex): number {
  return Math.hypot(re, im);
}
