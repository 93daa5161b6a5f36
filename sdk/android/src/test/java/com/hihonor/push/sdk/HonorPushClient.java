package com.hihonor.push.sdk;

import android.content.Context;
import borealis.android.Maker;

/** Stands in for the class of this name in Honor's library. */
public class HonorPushClient {
  public static HonorPushClient getInstance() {
    return new HonorPushClient();
  }

  public boolean checkSupportHonorPush(Context context) {
    return Maker.supported;
  }

  public void init(Context context, boolean token) {
    Maker.calls.add("init " + token);
  }

  public void getPushToken(HonorPushCallback<String> callback) {
    if (Maker.failure != 0) {
      callback.onFailure(Maker.failure, "no");
    } else {
      callback.onSuccess(Maker.token);
    }
  }
}
