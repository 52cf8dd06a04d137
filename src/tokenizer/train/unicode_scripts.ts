/**
 * The Script property of every code point in Unicode 14.0: runs of code points in ascending order, each as
 * its length in base 36 and the four letters of its script (ISO 15924; Zyyy common, Zinh inherited, Zzzz
 * not assigned).
 *
 * A table of our own, because runtimes carry different versions of Unicode and what is learned from a text
 * must not depend on them. Source: Scripts.txt of the Unicode Character Database, version 14.0.
 */
const RUNS = [
  "1tZyyyqLatn6ZyyyqLatn1bZyyy1LatnfZyyy1Latn5ZyyynLatn1ZyyyvLatn1ZyyychLatn13Zyyy5Latn5Zyyy2BopokZyyy",
  "34Zinh4Grek1Zyyy3Grek2Zzzz4Grek1Zyyy1Grek4Zzzz1Grek1Zyyy1Grek1Zyyy3Grek1Zzzz1Grek1ZzzzkGrek1Zzzz",
  "1rGrekeCoptgGrek3pCyrl2Zinh4pCyrl1Zzzz12Armn2Zzzz1eArmn2Zzzz3Armn1Zzzz1jHebr8ZzzzrHebr4Zzzz6Hebr",
  "bZzzz5Arab1Zyyy6Arab1ZyyyeArab1Zyyy3Arab1ZyyywArab1ZyyyaArabbZinhqArab1Zinh30Arab1ZyyyyArabeSyrc",
  "1Zzzz1oSyrc2Zzzz3Syrc1cArab1eThaaeZzzz1nNkoo2Zzzz3Nkoo1aSamr2ZzzzfSamr1ZzzzsMand2Zzzz1Mand1ZzzzbSyrc",
  "5ZzzzvArab1Zzzz2Arab6Zzzz22Arab1ZyyytArab29Deva4ZinhfDeva2ZyyyqDeva4Beng1Zzzz8Beng2Zzzz2Beng2Zzzz",
  "mBeng1Zzzz7Beng1Zzzz1Beng3Zzzz4Beng2Zzzz9Beng2Zzzz2Beng2Zzzz4Beng8Zzzz1Beng4Zzzz2Beng1Zzzz5Beng2Zzzz",
  "pBeng2Zzzz3Guru1Zzzz6Guru4Zzzz2Guru2ZzzzmGuru1Zzzz7Guru1Zzzz2Guru1Zzzz2Guru1Zzzz2Guru2Zzzz1Guru1Zzzz",
  "5Guru4Zzzz2Guru2Zzzz3Guru3Zzzz1Guru7Zzzz4Guru1Zzzz1Guru7ZzzzhGuruaZzzz3Gujr1Zzzz9Gujr1Zzzz3Gujr1Zzzz",
  "mGujr1Zzzz7Gujr1Zzzz2Gujr1Zzzz5Gujr2ZzzzaGujr1Zzzz3Gujr1Zzzz3Gujr2Zzzz1GujrfZzzz4Gujr2ZzzzcGujr7Zzzz",
  "7Gujr1Zzzz3Orya1Zzzz8Orya2Zzzz2Orya2ZzzzmOrya1Zzzz7Orya1Zzzz2Orya1Zzzz5Orya2Zzzz9Orya2Zzzz2Orya2Zzzz",
  "3Orya7Zzzz3Orya4Zzzz2Orya1Zzzz5Orya2ZzzziOryaaZzzz2Taml1Zzzz6Taml3Zzzz3Taml1Zzzz4Taml3Zzzz2Taml1Zzzz",
  "1Taml1Zzzz2Taml3Zzzz2Taml3Zzzz3Taml3ZzzzcTaml4Zzzz5Taml3Zzzz3Taml1Zzzz4Taml2Zzzz1Taml6Zzzz1TamleZzzz",
  "lTaml5ZzzzdTelu1Zzzz3Telu1ZzzznTelu1ZzzzgTelu2Zzzz9Telu1Zzzz3Telu1Zzzz4Telu7Zzzz2Telu1Zzzz3Telu2Zzzz",
  "1Telu2Zzzz4Telu2ZzzzaTelu7Zzzz9TeludKnda1Zzzz3Knda1ZzzznKnda1ZzzzaKnda1Zzzz5Knda2Zzzz9Knda1Zzzz3Knda",
  "1Zzzz4Knda7Zzzz2Knda6Zzzz2Knda1Zzzz4Knda2ZzzzaKnda1Zzzz2KndadZzzzdMlym1Zzzz3Mlym1Zzzz1fMlym1Zzzz",
  "3Mlym1Zzzz6Mlym4ZzzzgMlym2ZzzzqMlym1Zzzz3Sinh1ZzzziSinh3ZzzzoSinh1Zzzz9Sinh1Zzzz1Sinh2Zzzz7Sinh3Zzzz",
  "1Sinh4Zzzz6Sinh1Zzzz1Sinh1Zzzz8Sinh6ZzzzaSinh2Zzzz3SinhcZzzz1mThai4Zzzz1ZyyysThai11Zzzz2Laoo1Zzzz",
  "1Laoo1Zzzz5Laoo1ZzzzoLaoo1Zzzz1Laoo1ZzzznLaoo2Zzzz5Laoo1Zzzz1Laoo1Zzzz6Laoo2ZzzzaLaoo2Zzzz4LaoowZzzz",
  "20Tibt1Zzzz10Tibt4Zzzz13Tibt1Zzzz10Tibt1ZzzzfTibt1Zzzz7Tibt4Zyyy2Tibt11Zzzz4gMymr12Geor1Zzzz1Geor",
  "5Zzzz1Geor2Zzzz17Geor1Zyyy4Geor74Hang21Ethi1Zzzz4Ethi2Zzzz7Ethi1Zzzz1Ethi1Zzzz4Ethi2Zzzz15Ethi1Zzzz",
  "4Ethi2ZzzzxEthi1Zzzz4Ethi2Zzzz7Ethi1Zzzz1Ethi1Zzzz4Ethi2ZzzzfEthi1Zzzz1lEthi1Zzzz4Ethi2Zzzz1vEthi",
  "2ZzzzwEthi3ZzzzqEthi6Zzzz2eCher2Zzzz6Cher2ZzzzhsCanstOgam3Zzzz23Runr3ZyyybRunr7ZzzzmTglg9Zzzz1Tglg",
  "lHano2Zyyy9ZzzzkBuhdcZzzzdTagb1Zzzz3Tagb1Zzzz2TagbcZzzz2mKhmr2ZzzzaKhmr6ZzzzaKhmr6Zzzz2Mong2Zyyy",
  "1Mong1ZyyykMong6Zzzz2hMong7Zzzz17Mong5Zzzz1yCansaZzzzvLimb1ZzzzcLimb4ZzzzcLimb4Zzzz1Limb3ZzzzcLimb",
  "uTale2Zzzz5TalebZzzz18Talu4ZzzzqTalu6ZzzzbTalu3Zzzz2TaluwKhmrsBugi2Zzzz2Bugi1rLana1ZzzztLana2Zzzz",
  "bLana6ZzzzaLana6ZzzzeLana2ZzzzvZinh1dZzzz25Bali3Zzzz1bBali1Zzzz1sSund1gBatk8Zzzz4Batk1kLepc3Zzzz",
  "fLepc3Zzzz3Lepc1cOlck9Cyrl7Zzzz17Geor2Zzzz3Geor8Sund8Zzzz3Zinh1ZyyydZinh1Zyyy7Zinh4Zyyy1Zinh6Zyyy",
  "1Zinh3Zyyy2Zinh1Zyyy5Zzzz12Latn5Grek1Cyrl1dLatn5Grek4Latn5GrekdLatn1Cyrl1yLatn1Grek1sZinh74LatnmGrek",
  "2Zzzz6Grek2Zzzz12Grek2Zzzz6Grek2Zzzz8Grek1Zzzz1Grek1Zzzz1Grek1Zzzz1Grek1ZzzzvGrek2Zzzz1hGrek1Zzzz",
  "fGrek1ZzzzeGrek2Zzzz6Grek1ZzzzjGrek2Zzzz3Grek1Zzzz9Grek1ZzzzcZyyy2Zinh2fZyyy1ZzzzbZyyy1Latn2Zzzz",
  "bZyyy1LatnfZyyy1ZzzzdLatn3ZzzzxZyyyfZzzzxZinhfZzzz12Zyyy1Grek3Zyyy2Latn6Zyyy1LatnrZyyy1LatnhZyyy",
  "15Latn3Zyyy4ZzzzifZyyypZzzzbZyyylZzzzpsZyyy74BraihgZyyy2ZzzzwZyyy1Zzzz2xZyyy2oGlagwLatn38Copt5Zzzz",
  "7Copt12Geor1Zzzz1Geor5Zzzz1Geor2Zzzz1kTfng7Zzzz2TfngeZzzz1TfngnEthi9Zzzz7Ethi1Zzzz7Ethi1Zzzz7Ethi",
  "1Zzzz7Ethi1Zzzz7Ethi1Zzzz7Ethi1Zzzz7Ethi1Zzzz7Ethi1ZzzzwCyrl2mZyyyyZzzzqHani1Zzzz2hHanicZzzz5yHani",
  "qZzzzcZyyy4Zzzz5Zyyy1Hani1Zyyy1HanipZyyy9Hani4Zinh2Hang8Zyyy4Hani4Zyyy1Zzzz2eHira2Zzzz2Zinh2Zyyy",
  "3Hira1Zyyy2iKana2Zyyy3Kana5Zzzz17Bopo1Zzzz2mHang1ZzzzgZyyywBopo10ZyyycZzzzgKanavHang1Zzzz1sZyyyvHang",
  "29Zyyy1bKana1Zyyy2gKana4oZyyy534Hani1sZyyyg74HaniwdYiii3Zzzz1jYiii9Zzzz1cLisu8cVaiikZzzz2oCyrl2gBamu",
  "8ZzzzyZyyy2uLatn3Zyyy1sLatn5Zzzz2Latn1Zzzz1Latn1Zzzz5LatnoZzzzeLatn19Sylo3ZzzzaZyyy6Zzzz1kPhag8Zzzz",
  "1ySaur8ZzzzcSaur6ZzzzwDeva1aKali1Zyyy1Kali10RjngbZzzz1RjngtHang3Zzzz26Java1Zzzz1ZyyyaJava4Zzzz2Java",
  "vMymr1Zzzz1jCham9ZzzzeCham2ZzzzaCham2Zzzz4ChamwMymr1vTavtoZzzz5TavtnMteiaZzzz6Ethi2Zzzz6Ethi2Zzzz",
  "6Ethi9Zzzz7Ethi1Zzzz7Ethi1Zzzz17Latn1Zyyy9Latn1Grek4Latn2Zyyy4Zzzz28Cher1aMtei2ZzzzaMtei6Zzzz8mcHang",
  "cZzzznHang4Zzzz1dHang6isZzzza6Hani2Zzzz2yHani12Zzzz7LatncZzzz5Armn5ZzzzqHebr1Zzzz5Hebr1Zzzz1Hebr",
  "1Zzzz2Hebr1Zzzz2Hebr1ZzzzaHebr37ArabgZzzza3Arab2Zyyy28Arab2Zzzz1iArab7Zzzz1ArabwZzzzgArabgZinhaZyyy",
  "6ZzzzeZinh2CyrlzZyyy1ZzzzjZyyy1Zzzz4Zyyy4Zzzz5Arab1Zzzz3rArab2Zzzz1Zyyy1ZzzzwZyyyqLatn6ZyyyqLatn",
  "bZyyyaKana1Zyyy19Kana2ZyyyvHang3Zzzz6Hang2Zzzz6Hang2Zzzz6Hang2Zzzz3Hang3Zzzz7Zyyy1Zzzz7ZyyyaZzzz",
  "5Zyyy2ZzzzcLinb1ZzzzqLinb1ZzzzjLinb1Zzzz2Linb1ZzzzfLinb2ZzzzeLinbyZzzz3fLinb5Zzzz3Zyyy4Zzzz19Zyyy",
  "3Zzzz9Zyyy27Grek1ZzzzdZyyy3Zzzz1Grek1bZzzz19Zyyy1Zinh3mZzzztLyci3Zzzz1dCarifZzzz1ZinhrZyyy4Zzzz",
  "10Ital9Zzzz3ItalrGoth5Zzzz17Perm5ZzzzuUgar1Zzzz1Ugar10Xpeo4ZzzzeXpeo16Zzzz28Dsrt1cShawuOsma2Zzzz",
  "aOsma6Zzzz10Osge4Zzzz10Osge4Zzzz14Elba8Zzzz1gAghbbZzzz1AghbbVith1ZzzzfVith1Zzzz7Vith1Zzzz2Vith1Zzzz",
  "bVith1ZzzzfVith1Zzzz7Vith1Zzzz2Vith1vZzzz8nLina9ZzzzmLinaaZzzz8LinaoZzzz6Latn1Zzzz16Latn1Zzzz9Latn",
  "1xZzzz6Cprt2Zzzz1Cprt1Zzzz18Cprt1Zzzz2Cprt3Zzzz1Cprt2Zzzz1CprtmArmi1Zzzz9ArmiwPalmvNbat8Zzzz9Nbat",
  "1cZzzzjHatr1Zzzz2Hatr5Zzzz5HatrsPhnx3Zzzz1PhnxqLydi5Zzzz1Lydi1sZzzzwMerooMerc4ZzzzkMerc2Zzzz1aMerc",
  "4Khar1Zzzz2Khar5Zzzz8Khar1Zzzz3Khar1ZzzztKhar2Zzzz3Khar4ZzzzaKhar7Zzzz9Khar7ZzzzwSarbwNarbwZzzz",
  "13Mani4ZzzzcMani9Zzzz1iAvst3Zzzz7AvstmPrti2Zzzz8PrtijPhli5Zzzz8PhliiPhlp7Zzzz4PhlpcZzzz7Phlp28Zzzz",
  "21Orkh1jZzzz1fHungdZzzz1fHung7Zzzz6Hung14Rohg8ZzzzaRohg86ZzzzvArab1Zzzz16Yezi1Zzzz3Yezi2Zzzz2Yezi",
  "26Zzzz14Sogo8Zzzz16SogdmZzzzqOugr12ZzzzsChrskZzzznElym9Zzzz26Brah4Zzzz10Brah9Zzzz1Brah1vKthiaZzzz",
  "1Kthi2ZzzzpSora7ZzzzaSora6Zzzz1hCakm1ZzzziCakm8Zzzz13Mahj9Zzzz2oShrd1ZzzzkSinhbZzzziKhoj1Zzzz18Khoj",
  "1tZzzz7Mult1Zzzz1Mult1Zzzz4Mult1ZzzzfMult1ZzzzbMult6Zzzz1nSind5ZzzzaSind6Zzzz4Gran1Zzzz8Gran2Zzzz",
  "2Gran2ZzzzmGran1Zzzz7Gran1Zzzz2Gran1Zzzz5Gran1Zzzz1Zinh9Gran2Zzzz2Gran2Zzzz3Gran2Zzzz1Gran6Zzzz1Gran",
  "5Zzzz7Gran2Zzzz7Gran3Zzzz5Gran3vZzzz2kNewa1Zzzz5NewauZzzz20Tirh8ZzzzaTirh4mZzzz1iSidd2Zzzz12Sidd",
  "yZzzz1xModibZzzzaModi6ZzzzdMongjZzzz1mTakr6ZzzzaTakr1iZzzzrAhom2ZzzzfAhom4ZzzznAhom55Zzzz1oDogr",
  "2sZzzz2bWaracZzzz1Wara7Diak2Zzzz1Diak2Zzzz8Diak1Zzzz2Diak1ZzzzuDiak1Zzzz2Diak2ZzzzcDiak9ZzzzaDiak",
  "1yZzzz8Nand2Zzzz1aNand2ZzzzbNandrZzzz20Zanb8Zzzz2bSoyodZzzzgCans1lPauc7bZzzz9Bhks1Zzzz19Bhks1Zzzz",
  "eBhksaZzzztBhks3ZzzzwMarc2ZzzzmMarc1ZzzzeMarc21Zzzz7Gonm1Zzzz2Gonm1Zzzz18Gonm3Zzzz1Gonm1Zzzz2Gonm",
  "1Zzzz9Gonm8ZzzzaGonm6Zzzz6Gong1Zzzz2Gong1Zzzz11Gong1Zzzz2Gong1Zzzz6Gong7ZzzzaGong8mZzzzpMaka53Zzzz",
  "1LisufZzzz1eTamldZzzz1TamlpmXsux2uZzzz33Xsux1Zzzz5XsuxbZzzz5gXsux218Zzzz2rCpmndZzzztrEgyp1Zzzz9Egyp",
  "347Zzzzg7Hluw6ntZzzzftBamu7ZzzzvMroo1ZzzzaMroo4Zzzz2Mroo27Tnsa1ZzzzaTnsa6ZzzzuBass2Zzzz6BassaZzzz",
  "1yHmngaZzzzaHmng1Zzzz7Hmng1ZzzzlHmng5ZzzzjHmngj4Zzzz2jMedf2tZzzz23Plrd4Zzzz1lPlrd7ZzzzhPlrd1sZzzz",
  "1Tang1Nshu2Hani1KitsbZzzz2HanieZzzz4qgTang8ZzzzlcTangd2Kits16Zzzz9Tang6w7Zzzz4Kana1Zzzz7Kana1Zzzz",
  "2Kana1Zzzz1Kana7zHira3Kana19Zzzz3HirahZzzz4Kana8Zzzzb0Nshu1s4Zzzz2zDupl5ZzzzdDupl3Zzzz9Dupl7Zzzz",
  "aDupl2Zzzz4Dupl4Zyyy3mkZzzz1aZinh2ZzzznZinh9Zzzz38Zyyy1oZzzz6uZyyyaZzzz13Zyyy2Zzzz1qZyyy3ZinhhZyyy",
  "8Zinh2Zyyy7ZinhuZyyy4Zinh1pZyyylZzzz1yGrek4aZzzzkZyyycZzzz2fZyyy9ZzzzpZyyy3rZzzz2dZyyy1Zzzz1zZyyy",
  "1Zzzz2Zyyy2Zzzz1Zyyy2Zzzz2Zyyy2Zzzz4Zyyy1ZzzzcZyyy1Zzzz1Zyyy1Zzzz7Zyyy1Zzzz1tZyyy1Zzzz4Zyyy2Zzzz",
  "8Zyyy1Zzzz7Zyyy1ZzzzsZyyy1Zzzz4Zyyy1Zzzz5Zyyy1Zzzz1Zyyy3Zzzz7Zyyy1Zzzz9gZyyy2Zzzz84Zyyy2Zzzz1eZyyy",
  "i4SgnwfZzzz5Sgnw1ZzzzfSgnwuoZzzzvLatn69Zzzz7Glag1ZzzzhGlag2Zzzz7Glag1Zzzz2Glag1Zzzz5Glag5xZzzz19Hmnp",
  "3ZzzzeHmnp2ZzzzaHmnp4Zzzz2Hmnp8wZzzzvTotohZzzz1mWcho5Zzzz1WchoyoZzzz7Ethi1Zzzz4Ethi1Zzzz2Ethi1Zzzz",
  "fEthi1Zzzz5hMend2ZzzzgMend15Zzzz24Adlm4ZzzzaAdlm4Zzzz2AdlmltZzzz1wZyyy24Zzzz1pZyyy5eZzzz4Arab1Zzzz",
  "rArab1Zzzz2Arab1Zzzz1Arab2Zzzz1Arab1ZzzzaArab1Zzzz4Arab1Zzzz1Arab1Zzzz1Arab6Zzzz1Arab4Zzzz1Arab1Zzzz",
  "1Arab1Zzzz1Arab1Zzzz3Arab1Zzzz2Arab1Zzzz1Arab2Zzzz1Arab1Zzzz1Arab1Zzzz1Arab1Zzzz1Arab1Zzzz1Arab1Zzzz",
  "2Arab1Zzzz1Arab2Zzzz4Arab1Zzzz7Arab1Zzzz4Arab1Zzzz4Arab1Zzzz1Arab1ZzzzaArab1ZzzzhArab5Zzzz3Arab1Zzzz",
  "5Arab1ZzzzhArab1gZzzz2Arab7iZzzz18Zyyy4Zzzz2sZyyycZzzzfZyyy2ZzzzfZyyy1ZzzzfZyyy1Zzzz11ZyyyaZzzz",
  "4uZyyy1kZzzzqZyyy1Hira2ZyyydZzzz18Zyyy4Zzzz9Zyyy7Zzzz2ZyyyeZzzz6Zyyy4aZzzzrcZyyy5ZzzzgZyyy3ZzzzdZyyy",
  "3Zzzz38ZyyycZzzz2hZyyy7ZzzzcZyyy4Zzzz1ZyyyfZzzzcZyyy4Zzzz1kZyyy8ZzzzaZyyy6Zzzz14Zyyy8ZzzzuZyyy2Zzzz",
  "2Zyyy26Zzzz9gZyyycZzzzeZyyy2Zzzz5Zyyy3Zzzz5Zyyy3Zzzz7Zyyy9ZzzztZyyy3ZzzzbZyyy5Zzzz6ZyyyaZzzzaZyyy",
  "6Zzzz8Zyyy8Zzzz7Zyyy9Zzzz43Zyyy1Zzzz1jZyyy11ZzzzaZyyysmZzzzwyoHaniwZzzz37dHani7Zzzz66Hani2Zzzz",
  "4g2HanieZzzz5rlHani2e7Zzzzf2Hani15uZzzz3t7HanifcfqZzzz1ZyyyuZzzz2oZyyy3kZzzz6oZinh47bkZzzz0Zzzz",
].join("");

/** Code points that are not assigned in Unicode 14.0. */
export const UNASSIGNED = "Zzzz";

/** First code point of each run, and the name of its script. */
const starts: number[] = [];
const names: string[] = [];

function readRuns(): void {
  let start = 0;
  for (const [, length, name] of RUNS.matchAll(/([0-9a-z]+)([A-Z][a-z]{3})/g)) {
    starts.push(start);
    names.push(name as string);
    start += Number.parseInt(length as string, 36);
  }
}

/** The script of a code point, 0 to 0x10FFFF, by its four letters. */
export function scriptOf(codePoint: number): string {
  if (starts.length === 0) readRuns();
  let low = 0;
  let high = starts.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((starts[middle] as number) <= codePoint) low = middle;
    else high = middle;
  }
  return names[low] as string;
}

/** The runs of code points that Unicode 14.0 assigns, without surrogates and private use: [start, end). */
export function assignedRuns(): [start: number, end: number][] {
  if (starts.length === 0) readRuns();
  return starts
    .map((start, i): [number, number] => [start, starts[i + 1] ?? 0x110000])
    .filter((_, i) => names[i] !== UNASSIGNED);
}
