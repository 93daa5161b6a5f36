package com.meizu.cloud.pushsdk;

import android.content.Context;
import borealis.android.Maker;

/** Stands in for the class of this name in Meizu's library. */
public class PushManager {
  public static void register(Context context, String appId, String appKey) {
    Maker.calls.add("register " + appId + " " + appKey);
  }

  public static String getPushId(Context context) {
    return Maker.token;
  }
}
