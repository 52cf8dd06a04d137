// A text to measure quality with, for machines without the reference text.
/** A story of our own. */
export const story =
  "Once upon a time there was a little girl who lived in a small house near the forest. Every morning she fed " +
  "the hens and carried water from the well. One day she heard a soft voice behind the wall. She looked over it " +
  "and saw a young fox with a thorn in its foot. The girl was afraid at first, but the fox looked so sad that " +
  "she went to it and took the thorn out with her fingers. The fox licked her hand and ran away between the " +
  "trees.\nThat winter was very cold. The snow lay so high that nobody could go to the village, and soon there " +
  "was no more bread in the house. The girl's mother sat by the fire and said nothing. Then they heard a scratch " +
  "at the door. When the girl opened it, there stood the fox, and beside it lay a big fish, still wet from the " +
  "river. Every evening the fox came back, and every evening it brought something to eat.\nWhen spring came, the " +
  "snow melted and the birds began to sing. The girl and her mother walked to the village and told everybody " +
  "about the fox. The old miller laughed and said that foxes bring nothing, they only take. But the girl smiled, " +
  "because she knew what she had seen. She went home through the forest, and under the tall trees she called " +
  "three times. Nobody answered, but in the soft earth beside the path there were the marks of four small feet, " +
  "and they went along with hers all the way to the door.";
