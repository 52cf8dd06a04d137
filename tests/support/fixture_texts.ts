// Texts of our own: what the vocabularies of tests/fixtures/ are trained on, and what is encoded with them.

const people = "the miller,a young fox,the old queen,my sister,a baker,the ferryman,nobody,her uncle".split(
  ",",
);
const actions =
  "carried,found,painted,forgot,counted,could not lift,was looking for,has sold,never sees,isn't mending".split(
    ",",
  );
const things =
  "a lantern,three green bottles,the broken clock,12 eggs,345 letters,his father's boat,the key,a basket of pears".split(
    ",",
  );
const places =
  "by the river,under the bridge,in the morning,before the rain,at 7:30,behind the mill,on the hill".split(
    ",",
  );
const ends = [".", ".", ".", "!", "?", "...", "; nobody knew why.", ", she said."];

// A few lines of each of some scripts, each said several times in the corpus.
const foreign = [
  'Hello world! Hello again, said the fox: "Hello, hello."',
  "Der Müller trug Äpfel über die Brücke, und es regnete früh.",
  "La rivière était déjà gelée, où naîtra le garçon ?",
  "Мельник нёс яблоки через мост, и шёл дождь.",
  "Ο μυλωνάς πέρασε το γεφύρι με τα μήλα.",
  "粉屋は橋を渡って林檎を運んだ。朝から雨だった。",
  "磨坊主提着灯笼过桥，天还没有亮。",
  "방앗간 주인은 사과를 들고 다리를 건넜다.",
  "الطحان حمل التفاح وعبر الجسر.",
  "הטוחן נשא תפוחים מעבר לגשר.",
  "चक्की वाला सेब लेकर पुल के पार गया।",
  "คนโม่แป้งถือแอปเปิ้ลข้ามสะพาน",
  "for (let i = 0; i < 10; i++) {\n\ttotal += row[i];\n}",
  "🦙 and 🍐, 👩‍🌾 too.",
];

/** Pseudo-random integers below a limit, the same everywhere. */
function randomBelow(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

/** Some 60 KB of made-up sentences, the same every time. */
export function fixtureCorpus(): string {
  const random = randomBelow(2026);
  const of = (list: readonly string[]) => list[random(list.length)] as string;
  const lines = Array.from({ length: 900 }, (_, i) => {
    if (i % 6 === 5) return foreign[random(foreign.length)] as string;
    const who = of(people);
    const name = `${who[0]?.toUpperCase()}${who.slice(1)}`;
    return `${name} ${of(actions)} ${of(things)} ${of(places)}${of(ends)}`;
  });
  return `${lines.join("\n")}\n`;
}

/** Texts that are encoded: words of the corpus, and everything that it has not. */
export const fixtureTexts: readonly string[] = [
  "",
  " ",
  "  ",
  "   ",
  "\n",
  "\n\n\n",
  "\t",
  " \t \n \r\n  ",
  "a",
  " a",
  "a ",
  "the",
  "The",
  "THE",
  "Hello",
  " Hello",
  "Hello world",
  "  Hello   world  ",
  "Hello, hello!",
  "the miller carried a lantern by the river.",
  "The old queen forgot 12 eggs before the rain; nobody knew why.",
  "thethethe riverriver",
  "unforgettable antidisestablishmentarianism",
  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
  "isn't I'm we'll they've you're he'd it's",
  "ISN'T I'M WE'LL THEY'VE YOU'RE HE'D IT'S",
  "her uncle’s boat, ‘quoted’ “double”",
  "'tis 'twas ''' 'll",
  "a'ſb",
  "0",
  "7 12 345 6789 1234567890",
  "3.14159, -2e10, 0xFF, 1,000,000",
  "at 7:30 on 2026-11-29",
  "٣٤٥ ७८९ Ⅷ ½ ²",
  "!?.,;:…—–-_",
  "(((())))[[]]{{}}<<>>",
  "a+b=c; x*y/z % 2 ^ 3 & 4 | 5 ~ 6",
  "#!/bin/sh\nexit 0\n",
  "for (let i = 0; i < 10; i++) {\n\ttotal += row[i];\n}",
  '<html>\r\n  <p class="x">&amp;</p>\r\n</html>',
  '{"key": [1, 2.5, null, "välue"]}',
  "https://example.invalid/a/b?c=d#e",
  "C:\\path\\to\\file.txt",
  "line one\nline two\r\nline three\rline four",
  "trailing space \nand tab\t\n",
  "Der Müller trug Äpfel über die Brücke.",
  "La rivière était déjà gelée.",
  "naïve café résumé e\u0301 a\u0308 ñ n\u0303",
  "ẞ ß İ ı ǅ ŉ",
  "Мельник нёс яблоки через мост",
  "Ο μυλωνάς πέρασε το γεφύρι",
  "粉屋は橋を渡って林檎を運んだ。",
  "磨坊主提着灯笼过桥，天还没有亮。",
  "방앗간 주인은 사과를 들고",
  "\u1112\u1161\u11ab\u1100\u1173\u11af",
  "الطحان حمل التفاح وعبر الجسر",
  "הטוחן נשא תפוחים",
  "चक्की वाला सेब लेकर",
  "คนโม่แป้งถือแอปเปิ้ล",
  "ქართული ენა", // what the corpus has not
  "አማርኛ ᚠᚢᚦ 𐌰𐌱𐌲",
  "ﬁne ①② ㎏ ＡＢＣ１２３ ｶﾞ",
  "🦙",
  "🦙🦙🍐 x 🦙",
  "👩‍🌾 👨‍👩‍👧‍👦 🏳️‍🌈",
  "🇩🇪🇫🇷🇯🇵",
  "👍🏽 ✌️ ☺︎ 1️⃣",
  "𝐀𝐁 𝟘𝟙 𠀀𠀁",
  "Z̴̢̛a̷͎l̶̰g̵͍o̸",
  "\u00a0no\u00a0break\u202fspace\u3000wide\u2003em",
  "zero\u200bwidth\u200djoin\ufeffmark",
  "\ufefffirst",
  "\u0085next\u2028line\u2029paragraph",
  "\u0000nul\u0000",
  "\u0001\u0002\u0007\u0008\u001b\u001f\u007f",
  "\u0080\u009f\u00ad",
  "\ufffd \ufffe \uffff",
  "\ue000\u{f0000}\u{10ffff}",
  "lone \ud83e high, \udd99 low",
  "▁under▁score ▁ ▁▁",
  "<s>not special</s> <unk> <|endoftext|> <0x41>",
  "Ġthe Ċ Â",
  "tab\tseparated\tvalues",
  "   indented\n        deeper\n\t\tmixed",
  "x".repeat(200),
  " ".repeat(40),
  "\n".repeat(20),
  "ab".repeat(60),
  "word ".repeat(30),
];

/** A text of some hundred tokens whose likelihood models are asked for. */
export const fixtureStory =
  "Once upon a time there was a miller who lived by a river. Every morning he carried a lantern over the bridge, " +
  "and every evening he carried it home again. One day a young fox sat in the middle of the bridge. " +
  '"What do you look for?" said the fox. "I look for the sun," said the miller, "but it is always behind the hill." ' +
  "The fox laughed, and ran ahead of him, and when they came to the top of the hill the sun was there.";
