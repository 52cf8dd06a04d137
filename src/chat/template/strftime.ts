// Dates as templates write them: Python's strftime in English and UTC, the same in every runtime.

const days = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const months = [
  ...["January", "February", "March", "April", "May", "June", "July"],
  ...["August", "September", "October", "November", "December"],
];

/** A date by a format such as "%d %b %Y"; a letter that is not known stays as it is. */
export function strftime(date: Date, format: string): string {
  const part = (value: number, length = 2) => String(value).padStart(length, "0");
  const day = days[date.getUTCDay()] as string;
  const month = months[date.getUTCMonth()] as string;
  const hour = date.getUTCHours();
  const write: Readonly<Record<string, () => string>> = {
    Y: () => part(date.getUTCFullYear(), 4),
    y: () => part(date.getUTCFullYear() % 100),
    m: () => part(date.getUTCMonth() + 1),
    d: () => part(date.getUTCDate()),
    e: () => String(date.getUTCDate()).padStart(2),
    H: () => part(hour),
    I: () => part(hour % 12 || 12),
    M: () => part(date.getUTCMinutes()),
    S: () => part(date.getUTCSeconds()),
    f: () => part(date.getUTCMilliseconds() * 1000, 6),
    p: () => (hour < 12 ? "AM" : "PM"),
    A: () => day,
    a: () => day.slice(0, 3),
    B: () => month,
    b: () => month.slice(0, 3),
    w: () => String(date.getUTCDay()),
    j: () => part(1 + Math.floor((date.getTime() - Date.UTC(date.getUTCFullYear(), 0, 1)) / 86_400_000), 3),
    Z: () => "UTC",
    z: () => "+0000",
    F: () => strftime(date, "%Y-%m-%d"),
    T: () => strftime(date, "%H:%M:%S"),
    D: () => strftime(date, "%m/%d/%y"),
    "%": () => "%",
  };
  return format.replace(/%(-?)([a-zA-Z%])/g, (all, short, letter) => {
    if (!Object.hasOwn(write, letter)) return all;
    const written = (write[letter] as () => string)();
    return short ? written.replace(/^[0 ]+(?=.)/, "") : written;
  });
}
